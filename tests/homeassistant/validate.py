"""Home Assistant's own MQTT integration, unchanged, on messages as a subscriber of the daemon's broker received them.

Reads /input, line by line: {"topic", "payload", "retained"} is a message, {"look": true} asks what Home Assistant has
now, {"turn": ENTITY, "on": BOOL} is somebody at a switch. Prints one line of JSON: every look (entities with state,
attributes, device), every warning that was logged, and everything that Home Assistant published. Only what is around
the integration is stood in for: the broker's connection, the storage, and compiled libraries that it does not need here.
"""

import asyncio
import datetime
import json
import logging
import sys
import threading
import types
from unittest.mock import AsyncMock, MagicMock, patch

sys.path.insert(0, "/site")


class Absent(types.ModuleType):
    """A library that is imported and never used."""

    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {}) if name[0].isupper() else MagicMock(name=name)


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in ("aiodns", "bcrypt", "cryptography", "hass_nabucasa"):
            return __import__("importlib").machinery.ModuleSpec(name, Finder, is_package=True)

    create_module = staticmethod(lambda spec: Absent(spec.name))
    exec_module = staticmethod(lambda module: None)


def library(name, **members):
    module = sys.modules[name] = types.ModuleType(name)
    vars(module).update(members)


def dumps(value, default=None, option=None):
    return json.dumps(value, default=default, separators=(",", ":"), ensure_ascii=False).encode()


sys.meta_path.append(Finder)
options = "APPEND_NEWLINE INDENT_2 NAIVE_UTC NON_STR_KEYS PASSTHROUGH_DATACLASS PASSTHROUGH_DATETIME PASSTHROUGH_SUBCLASS"
options = {f"OPT_{name}": 0 for name in [*options.split(), "SORT_KEYS", "UTC_Z"]}
errors = {"JSONDecodeError": json.JSONDecodeError, "JSONEncodeError": TypeError}
library("orjson", loads=json.loads, dumps=dumps, Fragment=bytes, **errors, **options)
library("ciso8601", parse_datetime=datetime.datetime.fromisoformat)
library("lru", LRU=type("LRU", (dict,), {"__init__": lambda self, size: None}))

from homeassistant.components import mqtt  # noqa: E402
from homeassistant.components.mqtt import binary_sensor, discovery, event, models, sensor, switch  # noqa: E402
from homeassistant.core import HomeAssistant  # noqa: E402
from homeassistant.helpers import device_registry, entity_registry, template  # noqa: E402
from homeassistant.helpers.entity_platform import EntityPlatform  # noqa: E402

PLATFORMS = {module.__name__.rsplit(".")[-1]: module for module in (binary_sensor, event, sensor, switch)}


class Client:
    """The connection to the broker, from Home Assistant's side."""

    connected = True

    def __init__(self, hass):
        self.hass = hass
        self.subscriptions = []
        self.kept = {}
        self.published = []

    def async_subscribe(self, topic, heard, qos, encoding=None, job_type=None):
        self.subscriptions.append(subscription := (topic, heard))
        for kept, payload in self.kept.items():
            if matches(topic, kept):
                asyncio.get_running_loop().call_soon(self.hand_over, kept, payload, True, topic, heard)
        return lambda: self.subscriptions.remove(subscription)

    async def async_publish(self, topic, payload, qos, retain):
        self.published.append({"topic": topic, "payload": payload, "qos": qos, "retain": retain})

    def deliver(self, topic, payload, retained):
        if retained:
            self.kept[topic] = payload
        for wanted, heard in list(self.subscriptions):
            if matches(wanted, topic):
                self.hand_over(topic, payload, retained, wanted, heard)

    def hand_over(self, topic, payload, retained, wanted, heard):
        message = models.ReceiveMessage(topic, payload, 1, retained, wanted, 0.0)
        heard(message)
        self.hass.data[models.DATA_MQTT].state_write_requests.process_write_state_requests(message)


def matches(wanted, topic):
    wanted, topic = wanted.split("/"), topic.split("/")
    return len(wanted) == len(topic) and all(w in ("+", t) for w, t in zip(wanted, topic))


class Log(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        error = f": {record.exc_info[1]!r}" if record.exc_info else ""
        self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}{error}")


async def registries(hass):
    """Empty ones that are never written down."""
    for registry in (device_registry, entity_registry):
        with patch("homeassistant.helpers.storage.Store.async_load", AsyncMock(return_value=None)):
            await registry.async_load(hass)


async def main():
    log = Log()
    logging.getLogger("homeassistant").addHandler(log)
    loop = asyncio.get_running_loop()
    loop._thread_id = threading.get_ident()
    loop._timer_handle_cancelled = lambda handle: None
    later = loop.call_later

    def call_later(delay, run, *args, context=None):
        """As the loop's own, with a handle that says when."""
        timer = asyncio.TimerHandle(loop.time() + delay, run, args, loop, context)
        later(delay, lambda: timer.cancelled() or timer._run())
        return timer

    loop.call_later = call_later
    loop.call_at = lambda when, run, *args, context=None: call_later(when - loop.time(), run, *args, context=context)
    hass = HomeAssistant("/config")
    hass.config.components.add("mqtt")
    template.async_setup(hass)
    await registries(hass)
    client = Client(hass)
    entry = MagicMock(entry_id="mqtt", domain="mqtt", subentries={}, disabled_by=None)
    entry.pref_disable_polling = entry.pref_disable_new_entities = False
    hass.config_entries = MagicMock()
    hass.config_entries.async_get_entry.return_value = entry
    hass.data[models.DATA_MQTT] = models.MqttData(client=client, config=[])
    hass.data[models.DATA_MQTT].platforms_loaded |= PLATFORMS.keys()
    platforms = {}
    for name, module in PLATFORMS.items():
        platform = EntityPlatform(
            hass=hass,
            logger=logging.getLogger("homeassistant"),
            domain=name,
            platform_name="mqtt",
            platform=None,
            scan_interval=datetime.timedelta(0),
            entity_namespace=None,
        )
        platform.config_entry = entry
        platforms[name] = platform
        add = lambda entities, platform=platform: hass.async_create_task(platform.async_add_entities(entities))
        await module.async_setup_entry(hass, entry, add)
    with patch.object(discovery, "async_get_mqtt", AsyncMock(return_value={})):
        await discovery.async_start(hass, "homeassistant", entry)

    looks = []
    for line in open("/input", encoding="utf-8"):
        step = json.loads(line)
        if "look" in step:
            looks.append(look(hass, platforms))
        elif "turn" in step:
            entity = platforms["switch"].entities[step["turn"]]
            await (entity.async_turn_on() if step["on"] else entity.async_turn_off())
        else:
            client.deliver(step["topic"], step["payload"], step["retained"])
        await hass.async_block_till_done()
    print(json.dumps({"looks": looks, "log": log.lines, "published": client.published}, default=str))


def look(hass, platforms):
    entities, devices = entity_registry.async_get(hass), device_registry.async_get(hass)
    known = {}
    for platform in platforms.values():
        for entity in platform.entities.values():
            state, entry = hass.states.get(entity.entity_id), entities.async_get(entity.entity_id)
            device = devices.async_get(entry.device_id)
            known[entity.entity_id] = {
                "state": state.state,
                "attributes": dict(state.attributes),
                "unique_id": entity.unique_id,
                "category": entity.entity_category,
                "device": [*sorted(map(list, device.identifiers)), device.name, device.sw_version],
            }
    return known


await main()  # noqa: F704
