//! The configuration from outside: what is accepted, what is refused, and what is said about it.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::load::Schema;
use super::*;

const EXAMPLE: &str = include_str!("../../board/watchword.toml");
const MINIMAL: &str = r#"
[[camera]]
name = "gate"
source = "/dev/video0"
[[action]]
name = "running"
phrases = ["running"]
"#;

fn load(text: &str, env: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("watchword.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(&path, env.iter().map(|(k, v)| (k.to_string(), v.to_string())))
}

/// The errors as `line: path: message`, or `VARIABLE: path: message`.
fn errors(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    let problems = load(text, env).expect_err("a mistake went unnoticed").problems;
    problems
        .into_iter()
        .filter(|p| p.severity == Severity::Error)
        .map(|p| match p.place {
            Place::Position { line, .. } => format!("{line}: {}: {}", p.path, p.message),
            Place::Variable(name) => format!("{name}: {}: {}", p.path, p.message),
            Place::Overlay => format!("overlay: {}: {}", p.path, p.message),
            Place::File(_) => format!("file: {}: {}", p.path, p.message),
        })
        .collect()
}

/// `text` has exactly the errors that begin so.
#[track_caller]
fn refuses(text: &str, expected: &[&str]) {
    refuses_with(text, &[], expected);
}

#[track_caller]
fn refuses_with(text: &str, env: &[(&str, &str)], expected: &[&str]) {
    let errors = errors(text, env);
    let fits = errors.len() == expected.len() && errors.iter().zip(expected).all(|(e, x)| e.starts_with(x));
    assert!(fits, "expected {expected:#?}\n     got {errors:#?}");
}

#[test]
fn the_annotated_example_is_right_without_a_warning() {
    let loaded = load(EXAMPLE, &[]).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.cameras[0].zones[0].name, "perimeter");
    assert_eq!(loaded.config.actions.len(), 2);
}

#[test]
fn the_annotated_example_mentions_every_key_with_its_default() {
    // A setting that is switched off has its "#" directly before it; prose has a space between.
    let off = |line: &str| {
        line.strip_prefix('#').filter(|l| l.starts_with(|c: char| c.is_ascii_lowercase())).is_some()
    };
    let all_on: String =
        EXAMPLE.lines().map(|l| if off(l) { &l[1..] } else { l }).collect::<Vec<_>>().join("\n");
    let shown: toml::Table = all_on.parse().unwrap();
    let as_written: toml::Table = EXAMPLE.parse().unwrap();
    let config: Config = toml::from_str(&all_on).unwrap();
    let values = serde_json::to_value(&config).unwrap();

    fn walk(default: &Json, shown: &toml::Value, written: Option<&toml::Value>, value: &Json, path: KeyPath) {
        match (default, shown) {
            (Json::Object(keys), toml::Value::Table(table)) => {
                for (key, default) in keys {
                    let path = path.key(key);
                    let shown =
                        table.get(key).unwrap_or_else(|| panic!("the example does not mention {path}"));
                    walk(default, shown, written.and_then(|w| w.get(key)), &value[key], path);
                }
            }
            (Json::Array(list), toml::Value::Array(shown)) if list.first().is_some_and(Json::is_object) => {
                let written = written.and_then(|w| w.get(0));
                walk(&list[0], &shown[0], written, &value[0], path.index(0));
            }
            _ if written.is_none() && !default.is_null() => {
                assert_eq!(value, default, "{path} is shown with another value than its default");
            }
            _ => {}
        }
    }
    let written = toml::Value::Table(as_written);
    walk(Schema::new().root(), &toml::Value::Table(shown), Some(&written), &values, KeyPath::default());
    // The second action shows the defaults of what the first one sets.
    let second = &config.actions[1];
    let defaults = Action { name: second.name.clone(), phrases: second.phrases.clone(), ..Action::default() };
    assert_eq!(*second, defaults);
}

#[test]
fn the_fragments_of_the_readme_are_settings() {
    let readme = include_str!("../../README.md");
    let fragments: Vec<_> = readme.split("```toml fragment\n").skip(1).collect();
    assert!(!fragments.is_empty());
    for fragment in fragments {
        let fragment = fragment.split("```").next().unwrap();
        Config::parse(&format!("{MINIMAL}{fragment}")).unwrap_or_else(|e| panic!("{fragment}: {e}"));
    }
}

#[test]
fn a_minimal_configuration_has_the_defaults_and_one_warning() {
    let loaded = load(MINIMAL, &[]).unwrap();
    let [warning] = &loaded.warnings[..] else { panic!("{:?}", loaded.warnings) };
    assert_eq!(warning.path.to_string(), "vocabulary.background");
    assert_eq!(loaded.config.mqtt, Mqtt::default());
    assert_eq!(
        loaded.config.cameras[0],
        Camera { name: "gate".into(), source: "/dev/video0".into(), ..Camera::default() }
    );
    assert_eq!(Config::parse(MINIMAL).unwrap(), loaded.config);
}

#[test]
fn reports_every_error_at_once_each_with_its_place() {
    let text = r#"[node]
name = "Dock 3"
[mqtt]
prot = 1884
port = "high"
queue = 0
[[camera]]
name = "gate"
source = "x"
size = [640, "tall"]
fps = 0
[[camera.zone]]
name = "door"
polygon = [[0, 0], [1, 1], [1, 0], [0, 1]]
[[action]]
name = "running"
phrases = ["running", " "]
threshold = 1.5
zones = ["dor"]
"#;
    refuses(
        text,
        &[
            "2: node.name: \"Dock 3\" may hold a-z, 0-9, _ and - only; write `dock_3`",
            "4: mqtt.prot: unknown key; did you mean `port`?",
            "5: mqtt.port: invalid type: string \"high\", expected a whole number from 0 to 65535",
            "6: mqtt.queue: 0 is out of range; give 1 to 1000000",
            "10: camera[0].size[1]: invalid type: string \"tall\", expected a whole number from 0",
            "11: camera[0].fps: 0 is not a rate",
            "14: camera[0].zone[0].polygon: not a polygon: the side from point 1 meets the side from point 3",
            "17: action[0].phrases[1]: a blank phrase",
            "18: action[0].threshold: 1.5 is out of range",
        ],
    );
    // The zone was not looked for, because part of the cameras could not be read; now it can.
    let text = text.replace("\"tall\"", "480");
    assert!(
        errors(&text, &[])
            .iter()
            .any(|e| e.starts_with("19: action[0].zones[0]: no camera has a zone `dor`; there are door"))
    );
}

#[test]
fn displays_file_line_and_column() {
    let problems = Config::parse("[mqtt]\n  port = true").unwrap_err().to_string();
    let line = problems.lines().find(|l| l.contains("mqtt.port")).unwrap();
    assert!(line.starts_with("configuration:2:10: mqtt.port: invalid type: boolean `true`"), "{line}");
}

#[test]
fn a_misspelt_key_is_one_error_and_not_two() {
    refuses(
        &MINIMAL.replace("source", "sorce"),
        &["4: camera[0].sorce: unknown key; did you mean `source`?"],
    );
    refuses(&format!("zebra = 1\n{MINIMAL}"), &["1: zebra: unknown key; the keys here are action, camera"]);
}

#[test]
fn an_empty_vocabulary_is_told_how_to_write_one() {
    let text = "[[camera]]\nname = \"a\"\nsource = \"b\"";
    refuses(text, &["file: action: there is no action to watch for; add one:\n  [[action]]\n  name ="]);
    refuses(&format!("action = []\n{text}"), &["1: action: there is no action to watch for"]);
    refuses("", &["file: camera: there is no camera; add one:", "file: action: there is no action"]);
    // What the messages advise is itself right.
    let advice: String =
        errors("", &[]).iter().flat_map(|e| e.split_once('\n')).map(|(_, t)| format!("{t}\n")).collect();
    Config::parse(&advice).unwrap();
}

#[test]
fn duplicates_are_named_with_both_lines() {
    let again = "[[camera]]\nname = \"gate\"\nsource = \"x\"\n[[action]]\nname = \"running\"\nphrases = [\"Running \"]\n";
    refuses(
        &format!("{MINIMAL}{again}"),
        &[
            "9: camera[1].name: a second `gate`; the first is on line 3; rename one",
            "12: action[1].name: a second `running`; the first is on line 6; rename one",
            "13: action[1].phrases[0]: \"Running \" stands in action[0].phrases[0] already (line 7)",
        ],
    );
    refuses(
        &format!(
            "{MINIMAL}against = [\"running\"]\n[vocabulary]\nbackground = [\"running\", \"idle\", \"idle\"]"
        ),
        &[
            "8: action[0].against[0]: \"running\" stands in action[0].phrases[0]",
            "10: vocabulary.background[0]: \"running\" stands in action[0].phrases[0] already (line 7)",
            "10: vocabulary.background[2]: \"idle\" stands in vocabulary.background[1] already (line 10)",
        ],
    );
}

#[test]
fn values_out_of_range_are_refused_and_those_at_its_ends_are_not() {
    let check = |section: &str, wrong: &[&str], right: &[&str]| {
        for setting in wrong {
            let key = setting.split(' ').next().unwrap();
            let errors = errors(&format!("{MINIMAL}[{section}]\n{setting}"), &[]);
            assert_eq!(errors.len(), 1, "{setting}: {errors:#?}");
            assert!(errors[0].starts_with(&format!("9: {section}.{key}")), "{setting}: {errors:#?}");
        }
        for setting in right {
            load(&format!("{MINIMAL}[{section}]\n{setting}"), &[])
                .unwrap_or_else(|e| panic!("{setting}: {e}"));
        }
    };
    check("node", &["name = \"\"", "name = \"ö\"", "name = 5"], &["name = \"a-b_9\""]);
    check(
        "pack",
        &["path = \"\"", "threads = -1", "threads = 2000", "engine = \"gpu\""],
        &["engine = \"tract\""],
    );
    check(
        "detector",
        &["person_threshold = 0", "nms_iou = nan", "object_threshold = 1e300", "max_persons = 0"],
        &["person_threshold = 1", "max_objects = 0"],
    );
    check("tracker", &["low_threshold = 0.5", "confirm = 0", "max_lost = \"-1s\""], &["low_threshold = 0.4"]);
    check(
        "scoring",
        &[
            "smoothing = \"2 h\"",
            "logit_scale = 0",
            "crop = \"cut\"",
            "enlarge = -0.1",
            "enlarge = 1.5",
            "enlarge = nan",
            "input = 16",
            "input = 2000",
            "small = 8",
            "small = 160\nregions = \"one-pass\"",
            "small = 160\ninput = 160",
            "heads = \"\"",
            "look_ahead = 61",
            "heads = 3",
        ],
        &[
            "smoothing = 0",
            "enlarge = 0.25",
            "input = 160\nregions = \"one-pass\"",
            "input = 160\nsmall = 128",
            "heads = \"baseline\"",
            "heads = \"h.safetensors\"",
            "look_ahead = \"2s\"",
        ],
    );
    check(
        "events",
        &["hysteresis = -0.1", "hysteresis = 1", "release = inf", "cool_down = \"soon\""],
        &["hysteresis = 0"],
    );
    check(
        "mqtt",
        &[
            "host = \"\"",
            "port = 0",
            "port = 65536",
            "base_topic = \"/a\"",
            "base_topic = \"a/+\"",
            "base_topic = \"$SYS\"",
            "base_topic = \"\"",
            "client_id = \" \"",
            "keep_alive = 0.5",
            "keep_alive = 1979-05-27",
        ],
        &["broker = \"embedded\"\nport = 0", "base_topic = \"site/one\"", "keep_alive = \"1m 30s\""],
    );
    check(
        "homeassistant",
        &[
            "discovery_prefix = \"\"",
            "discovery_prefix = \"a/#\"",
            "birth_topic = \"+/status\"",
            "enabled = 1",
        ],
        &["enabled = false", "discovery_prefix = \"site/ha\""],
    );
    check("onvif", &["topic_prefix = \"a/+\"", "enabled = \"yes\""], &["topic_prefix = \"site/gate\""]);
    check("stats", &["interval = 0"], &["interval = 1"]);
    check("vocabulary", &["template = \"a photo\"", "template = \"{} {}\""], &["template = \"a {}.\""]);
}

#[test]
fn a_camera_is_framed_by_quarters_fractions_and_polygons() {
    let action = "[[action]]\nname = \"running\"\nphrases = [\"running\"]\n";
    let text =
        |more: &str| format!("[[camera]]\nname = \"gate\"\nsource = \"/dev/video0\"\n{more}\n{action}");
    let mask = |polygon: &str| format!("[[camera.mask]]\npolygon = {polygon}");
    let good = format!(
        "rotate = 270\nmirror = true\nregion = [0, 0.1, 0.5, 1]\n{0}\n{0}",
        mask("[[0, 0], [1, 0], [1, 1]]")
    );
    let config = load(&text(&good), &[]).unwrap().config;
    assert_eq!((config.cameras[0].region, config.cameras[0].masks.len()), (Some([0.0, 0.1, 0.5, 1.0]), 2));
    for (more, expected) in [
        ("rotate = 45", "4: camera[0].rotate: 45 is no quarter turn; give 0, 90"),
        ("rotate = -90", "4: camera[0].rotate: invalid value"),
        (
            "region = [0, 0, 640, 480]",
            "4: camera[0].region: [0.0, 0.0, 640.0, 480.0] is no part of a picture",
        ),
        ("region = [0.5, 0, 0.5, 1]", "4: camera[0].region: [0.5, 0.0, 0.5, 1.0] is no part of a picture"),
        ("region = [nan, 0, 1, 1]", "4: camera[0].region: [NaN, 0.0, 1.0, 1.0] is no part of a picture"),
        (&mask("[[0, 0], [1, 1]]"), "5: camera[0].mask[0].polygon: 2 points are not a polygon"),
    ] {
        refuses(&text(more), &[expected]);
    }
}

#[test]
fn a_schedule_and_a_speed_are_read_and_wrong_ones_named() {
    let action = "[[action]]\nname = \"running\"\nphrases = [\"running\"]\n";
    let text = |zone: &str, more: &str| {
        format!(
            "[node]\ntime_zone = \"{zone}\"\n[[camera]]\nname = \"gate\"\nsource = \"a.mp4\"\n{more}\n{action}"
        )
    };
    let good = "schedule = [\"mon-fri 08:00-18:00\", \"sat 22:00-06:00\"]\nspeed = 2";
    let config = load(&text("Europe/Berlin", good), &[]).unwrap().config;
    assert_eq!((config.cameras[0].schedule.len(), config.cameras[0].speed), (2, Speed::Times(2.0)));
    assert_eq!(toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(), config);
    let max = load(&text("UTC", "speed = \"max\""), &[]).unwrap().config;
    assert_eq!(max.cameras[0].speed, Speed::Max);
    refuses(
        &text("Europe/Berln", ""),
        &["2: node.time_zone: there is no time zone \"Europe/Berln\"; did you mean \"Europe/Berlin\"?"],
    );
    refuses(
        &text("my own zone", ""),
        &["2: node.time_zone: there is no time zone \"my own zone\"; write one of IANA's"],
    );
    for (more, expected) in [
        (
            "schedule = [\"mon-fri 8-18\"]",
            "6: camera[0].schedule[0]: \"mon-fri 8-18\": \"8\" is no time of day",
        ),
        ("speed = 0", "6: camera[0].speed: 0 is no speed; give a factor"),
        (
            "speed = \"fast\"",
            "6: camera[0].speed: invalid value: string \"fast\", expected a factor such as 2.0",
        ),
    ] {
        refuses(&text("UTC", more), &[expected]);
    }
    let device = text("UTC", "speed = 2").replace("a.mp4", "/dev/video0");
    refuses(&device, &["6: camera[0].speed: only a recording has a speed"]);
}

#[test]
fn a_streams_settings_are_read_and_wrong_ones_named() {
    let action = "[[action]]\nname = \"running\"\nphrases = [\"running\"]\n";
    let text = |source: &str, more: &str| {
        format!("[[camera]]\nname = \"gate\"\nsource = \"{source}\"\n{more}\n{action}")
    };
    let good = "rtsp_transport = \"udp_multicast\"\nhwaccel = \"v4l2m2m\"\nusername = \"u\"";
    let config = load(&text("rtsp://host/", good), &[]).unwrap().config;
    assert_eq!(
        (config.cameras[0].rtsp_transport, config.cameras[0].hwaccel),
        (RtspTransport::UdpMulticast, Hwaccel::V4l2m2m)
    );
    let both = "username = \"u\"\npassword_file = \"credential:gate\"";
    for (source, more, expected) in [
        ("rtsp://host/", "hwaccel = \"gpu\"", "4: camera[0].hwaccel: unknown variant `gpu`, expected one of"),
        (
            "rtsp://host/",
            "password_file = \"credential:gate\"",
            "4: camera[0].password_file: a password needs a",
        ),
        ("rtsp://host/", "username = \" \"", "4: camera[0].username: blank"),
        (
            "rtsp://me@host/",
            "username = \"u\"",
            "4: camera[0].username: the address in `source` already says",
        ),
        ("/dev/video0", "username = \"u\"", "4: camera[0].username: only a stream asks who we are"),
    ] {
        refuses(&text(source, more), &[expected]);
    }
    assert!(load(&text("rtsp://host/", both), &[]).is_ok());
    let warned = |source: &str| {
        let warnings = load(&text(source, ""), &[]).unwrap().warnings;
        warnings.iter().any(|warning| warning.path.to_string() == "camera[0].source")
    };
    assert!(
        warned("rtsp://me:secret@host/live") && !warned("rtsp://me@host/") && !warned("rtsp://host/a:b@c")
    );
}

#[test]
fn a_devices_settings_are_read_and_wrong_ones_named() {
    let camera = "[[camera]]\nname = \"gate\"\nsource = \"/dev/video0\"\n";
    let action = "[[action]]\nname = \"running\"\nphrases = [\"running\"]\n";
    let controls = "controls = { gain = 7, hflip = true, auto_exposure = \"Manual Mode\" }";
    let text = format!("{camera}format = \"MJPG\"\nstall_timeout = \"2s\"\n{controls}\n{action}");
    let config = load(&text, &[]).unwrap().config;
    assert_eq!(config.cameras[0].format, Some(DeviceFormat::Mjpg));
    let values: Vec<_> =
        config.cameras[0].controls.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(values, ["auto_exposure=\"Manual Mode\"", "gain=7", "hflip=true"]);
    assert_eq!(toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(), config);

    let text =
        format!("{camera}format = \"YUV2\"\nstall_timeout = 0.1\ncontrols = {{ gain = 0.5 }}\n{action}");
    refuses(
        &text,
        &[
            "4: camera[0].format: unknown variant `YUV2`, expected one of `YUYV`, `UYVY`",
            "5: camera[0].stall_timeout: 100ms is out of range",
            "6: camera[0].controls.gain: invalid type: floating point `0.5`, expected a whole number",
        ],
    );
    let text = format!("{camera}format = \"MJPG\"\ncontrols = {{ gain = 1 }}\n{action}")
        .replace("/dev/video0", "rtsp://gate");
    let warned: Vec<String> = load(&text, &[]).unwrap().warnings.iter().map(|w| w.path.to_string()).collect();
    assert_eq!(warned[1..], ["camera[0].format", "camera[0].controls"]);
}

#[test]
fn an_action_that_could_never_end_is_refused() {
    refuses(
        &format!("{MINIMAL}threshold = 0.1"),
        &["8: action[0].threshold: 0.1 is not above events.hysteresis, 0.1"],
    );
    load(&format!("{MINIMAL}threshold = 0.11"), &[]).unwrap();
}

#[test]
fn a_single_bracket_is_explained() {
    let text = MINIMAL.replace("[[camera]]", "[camera]");
    refuses(&text, &["2: camera: one table where a list of them belongs; write [[camera]]"]);
}

#[test]
fn broken_toml_is_placed() {
    refuses("[node]\nname = \"a\"\nname = \"b\"", &["3: : not TOML: duplicate key"]);
    refuses("[node\n", &["1: : not TOML: "]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let errors = Config::load(Path::new("/nowhere/watchword.toml"), std::iter::empty()).unwrap_err();
    assert!(
        errors
            .to_string()
            .starts_with("/nowhere/watchword.toml: cannot read the configuration: No such file")
    );
    let large = "#".repeat((1 << 20) + 1);
    refuses(&large, &["file: : larger than 1048576 bytes"]);
}

#[test]
fn a_password_needs_a_file_that_is_there_and_a_user() {
    let text = |file: &Path| format!("{MINIMAL}[mqtt]\nusername = \"u\"\npassword_file = {:?}", file);
    refuses(
        &text(Path::new("/nowhere/pw")),
        &["10: mqtt.password_file: cannot read /nowhere/pw: No such file"],
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    load(&text(file.path()), &[]).unwrap();
    let nobody = text(file.path()).replace("username = \"u\"", "");
    refuses(&nobody, &["10: mqtt.password_file: a password needs a user name"]);
    refuses(&format!("{MINIMAL}[mqtt]\npassword = \"secret\""), &["9: mqtt.password: unknown key"]);
}

/// The paths of the warnings about `[mqtt]` with these settings.
fn mqtt_warnings(settings: &str) -> Vec<String> {
    let loaded = load(&format!("{MINIMAL}[mqtt]\n{settings}"), &[]).unwrap();
    let paths = loaded.warnings.iter().map(|w| w.path.to_string());
    paths.filter(|path| path.starts_with("mqtt")).collect()
}

#[test]
fn what_belongs_together_on_the_way_to_the_broker_stands_together() {
    let tls = |settings: &str| format!("{MINIMAL}[mqtt]\ntransport = \"tls\"\n[mqtt.tls]\n{settings}");
    let here = |name: &str| format!("{name} = {:?}", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    for (settings, expected) in [
        (here("client_certificate"), "11: mqtt.tls.client_certificate: a certificate needs its key"),
        (here("client_key"), "11: mqtt.tls.client_key: a key needs its certificate"),
        (
            "ca_file = \"/nowhere/ca.pem\"".into(),
            "11: mqtt.tls.ca_file: cannot read /nowhere/ca.pem: No such file",
        ),
        ("ca_file = \"credential:a/b\"".into(), "11: mqtt.tls.ca_file: \"a/b\" is no name of a credential"),
        ("pin_sha256 = [\"12\"]".into(), "11: mqtt.tls.pin_sha256[0]: \"12\" is no SHA-256"),
        ("alpn = [\"\"]".into(), "11: mqtt.tls.alpn[0]: a protocol's name has 1 to 255 bytes"),
        ("server_name = \" \"".into(), "11: mqtt.tls.server_name: blank"),
        (
            format!("{}\ndanger_accept_any_certificate = true", here("ca_file")),
            "12: mqtt.tls.danger_accept_any_certificate: contradicts",
        ),
    ] {
        refuses(&tls(&settings), &[expected]);
    }
    let unused = tls("server_name = \"a\"").replace("\"tls\"", "\"tcp\"");
    refuses(&unused, &["10: mqtt.tls: mqtt.tls is set, but mqtt.transport does not use it"]);
    let embedded = format!("{MINIMAL}[mqtt]\nbroker = \"embedded\"\ntransport = \"wss\"");
    refuses(&embedded, &["10: mqtt.transport: the embedded broker speaks plain MQTT only"]);
    let path = format!("{MINIMAL}[mqtt]\ntransport = \"ws\"\nwebsocket_path = \"mqtt\"");
    refuses(&path, &["10: mqtt.websocket_path: \"mqtt\" is no path"]);
    assert_eq!(mqtt_warnings("transport = \"tls\"\nport = 1883"), ["mqtt.port"]);
    assert_eq!(
        mqtt_warnings("transport = \"tls\"\ntls.danger_accept_any_certificate = true"),
        ["mqtt.tls.danger_accept_any_certificate"]
    );
}

#[test]
fn a_password_in_the_clear_or_open_to_everybody_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    let login = format!("username = \"u\"\npassword_file = {:?}\n", file.path());
    let warned = |more: &str| mqtt_warnings(&format!("{login}{more}"));
    let expected: [&str; 0] = [];
    assert_eq!(warned(""), expected, "on this box");
    assert_eq!(warned("host = \"broker.lan\""), ["mqtt.password_file"]);
    assert_eq!(warned("host = \"broker.lan\"\ntransport = \"ws\""), ["mqtt.password_file"]);
    assert_eq!(warned("host = \"broker.lan\"\ntransport = \"tls\""), expected);
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(warned(""), ["mqtt.password_file"]);
    // By hand, without a service manager, it cannot be known whether it is there.
    assert_eq!(
        mqtt_warnings("username = \"u\"\npassword_file = \"credential:mqtt-password\""),
        ["mqtt.password_file"]
    );
}

#[test]
fn an_open_embedded_broker_is_warned_of() {
    let warned = |mqtt: &str| {
        let loaded = load(&format!("{MINIMAL}[mqtt]\nbroker = \"embedded\"\n{mqtt}"), &[]).unwrap();
        loaded.warnings.iter().any(|w| w.path.to_string() == "mqtt.host")
    };
    assert!(warned("host = \"0.0.0.0\""));
    assert!(!warned("host = \"127.0.0.1\""));
    assert!(!warned("host = \"::1\""));
    assert!(!warned(""));
}

#[test]
fn a_page_is_shown_to_others_only_behind_a_log_in() {
    let web = |settings: &str| format!("{MINIMAL}[web]\n{settings}");
    let hash = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(hash.path(), "$argon2id$v=19$..").unwrap();
    let here = |name: &str| format!("{name} = {:?}\n", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    for (settings, expected) in [
        (
            "address = \"dock-3.lan:8480\"".into(),
            "9: web.address: \"dock-3.lan:8480\" is no IP address and port",
        ),
        ("address = \"0.0.0.0:8480\"".into(), "9: web.address: nobody could log in"),
        ("login = \"always\"".into(), "9: web.login: nobody could log in"),
        ("login = \"never\"".into(), "9: web.login: unknown variant"),
        ("password_file = \"/nowhere/pw\"".into(), "9: web.password_file: cannot read /nowhere/pw"),
        (here("password_file"), "9: web.password_file: it holds no hash of a password"),
        (here("certificate"), "9: web.certificate: a certificate needs its key"),
        (here("key"), "9: web.key: a key needs its certificate"),
        (
            "hosts = [\"a.lan\", \"http://b.lan\"]".into(),
            "9: web.hosts[1]: \"http://b.lan\" is no name of a host",
        ),
    ] {
        refuses(&web(&settings), &[expected]);
    }
    let warned = |settings: &str| {
        let text = web(&format!("password_file = {:?}\n{settings}", hash.path()));
        let loaded = load(&text, &[]).unwrap();
        loaded.warnings.iter().any(|warning| warning.path.to_string() == "web.address")
    };
    assert!(warned("address = \"[::]:8480\""), "in the clear");
    assert!(!warned(&format!("address = \"[::]:8480\"\n{}{}", here("certificate"), here("key"))));
    assert!(!warned("address = \"[::1]:8480\""));
    load(&web("address = \"0.0.0.0:8480\"\nenabled = false"), &[]).unwrap();
}

#[test]
fn the_environment_overrides_the_file() {
    let env = [
        ("WATCHWORD__MQTT__HOST", "broker.local"),
        ("WATCHWORD__MQTT__PORT", "1884"),
        ("WATCHWORD__MQTT__DETECTIONS", "true"),
        ("WATCHWORD__MQTT__USERNAME", "1234"),
        ("WATCHWORD__MQTT__KEEP_ALIVE", "20"),
        ("WATCHWORD__MQTT__CLIENT_ID", ""),
        ("WATCHWORD__MQTT__TRANSPORT", "tls"),
        ("WATCHWORD__MQTT__TLS__SERVER_NAME", "broker.example"),
        ("WATCHWORD__EVENTS__RELEASE", "250ms"),
        ("WATCHWORD__EVENTS__HYSTERESIS", "0.2"),
        ("WATCHWORD__PACK__ENGINE", "tract"),
        ("WATCHWORD__VOCABULARY__BACKGROUND", "[\"walking\", \"standing\"]"),
        ("WATCHWORD_MQTT_PORT", "1"),
        ("PATH", "/bin"),
    ];
    let text = format!("{MINIMAL}[mqtt]\nhost = \"elsewhere\"\nclient_id = \"me\"");
    let config = load(&text, &env).unwrap().config;
    assert_eq!(config.mqtt.host, "broker.local");
    assert_eq!(config.mqtt.port, Some(1884));
    assert!(config.mqtt.detections);
    assert_eq!(config.mqtt.transport, Transport::Tls);
    assert_eq!(config.mqtt.tls.server_name.as_deref(), Some("broker.example"));
    assert_eq!(config.mqtt.username.as_deref(), Some("1234"));
    assert_eq!(config.mqtt.keep_alive, Span::from_secs_f64(20.0));
    assert_eq!(config.mqtt.client_id.as_deref(), Some("me"));
    assert_eq!(config.events.release, Span::from_secs_f64(0.25));
    assert_eq!(config.events.hysteresis, 0.2);
    assert_eq!(config.pack.engine, EngineKind::Tract);
    assert_eq!(config.vocabulary.background, ["walking", "standing"]);
}

#[test]
fn errors_of_the_environment_name_the_variable() {
    let env = [
        ("WATCHWORD__CAMERA__0__NAME", "x"),
        ("WATCHWORD__ACTION__NAME", "x"),
        ("WATCHWORD__HOST", "x"),
        ("WATCHWORD__MQTT__HOTS", "x"),
        ("WATCHWORD__MQTT__TLS__CA", "x"),
        ("WATCHWORD__MQTT__PORT", "many"),
        ("WATCHWORD__MQTT__QUEUE", "0"),
        ("WATCHWORD__NODE__NAME", "A"),
    ];
    refuses_with(
        MINIMAL,
        &env,
        &[
            "WATCHWORD__ACTION__NAME: action.name: [[action]] is a list and can only be set in the file",
            "WATCHWORD__CAMERA__0__NAME: camera.0.name: [[camera]] is a list and can only be set in the file",
            "WATCHWORD__HOST: host: names no setting",
            "WATCHWORD__MQTT__HOTS: mqtt.hots: unknown key; did you mean `host`?",
            "WATCHWORD__MQTT__PORT: mqtt.port: invalid type: string \"many\", expected a whole number from 0 to 65535",
            "WATCHWORD__MQTT__QUEUE: mqtt.queue: 0 is out of range",
            "WATCHWORD__MQTT__TLS__CA: mqtt.tls.ca: unknown key; the keys here are alpn, ca_file,",
            "WATCHWORD__NODE__NAME: node.name: \"A\" may hold",
        ],
    );
}

#[test]
fn shows_where_values_come_from_and_no_secret() {
    let text = MINIMAL.replace("/dev/video0", "rtsp://admin:hunter2@10.0.0.7:554/live?a=b@c");
    let loaded = load(&text, &[("WATCHWORD__MQTT__PORT", "1884")]).unwrap();
    let shown = loaded.to_toml().unwrap();
    assert!(shown.contains("port = 1884  # WATCHWORD__MQTT__PORT\n"), "{shown}");
    assert!(shown.contains("name = \"gate\"  # file, line 3\n"), "{shown}");
    assert!(shown.contains("host = \"127.0.0.1\"  # default\n"), "{shown}");
    assert!(
        shown.contains("source = \"rtsp://admin:***@10.0.0.7:554/live?a=b@c\"  # file, line 4\n"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"));
}

#[test]
fn passwords_in_addresses_are_blotted_out_and_nothing_else() {
    let shown = |source: &str| {
        Camera { source: source.into(), ..Camera::default() }.source_without_password().into_owned()
    };
    assert_eq!(shown("rtsp://u:p@ss@host/x"), "rtsp://u:***@host/x");
    assert_eq!(shown("rtsp://u@host/x:y@z"), "rtsp://u@host/x:y@z");
    assert_eq!(shown("rtsp://host:554/x"), "rtsp://host:554/x");
    assert_eq!(shown("/dev/video0"), "/dev/video0");
}

fn overlaid(actions: Json, background: Option<Json>) -> Result<Loaded, ConfigErrors> {
    let text = format!("{MINIMAL}threshold = 0.6\n[vocabulary]\nbackground = [\"standing\"]\n");
    let loaded = load(&text, &[("WATCHWORD__MQTT__HOST", "elsewhere")]).unwrap();
    loaded.overlaid(Some(Overlay { since: "2026-11-22T20:14:03Z".parse().unwrap(), actions, background }))
}

#[test]
fn an_overlay_stands_in_place_of_the_files_words_and_says_so() {
    let actions =
        json!([{"name": "falling", "phrases": ["falling down"], "minimum_duration": 2, "threshold": 0.7}]);
    let loaded = overlaid(actions, None).unwrap();
    assert_eq!(loaded.config.actions.len(), 1);
    assert_eq!(
        (loaded.config.actions[0].name.as_str(), loaded.config.actions[0].threshold),
        ("falling", 0.7)
    );
    assert_eq!(loaded.config.vocabulary.background, ["standing"], "the file's");
    assert_eq!(loaded.config.mqtt.host, "elsewhere", "the environment's");
    let shown = loaded.to_toml().unwrap();
    assert!(shown.contains("name = \"falling\"  # set over MQTT at 2026-11-22T20:14:03Z\n"), "{shown}");
    assert!(shown.contains("background = [\"standing\"]  # file, line 10\n"), "{shown}");

    let loaded = overlaid(json!([{"name": "a", "phrases": ["a"]}]), Some(json!(["idle"]))).unwrap();
    assert_eq!(loaded.config.vocabulary.background, ["idle"]);
    let without = loaded.overlaid(None).unwrap();
    assert_eq!(without.config.actions[0].name, "running");
    assert_eq!((without.hash(), without.overlay()), (loaded.hash(), None), "the same file");
}

#[test]
fn everything_wrong_with_an_overlay_is_said_at_once() {
    let actions = json!([
        {"name": "Bad Name", "phrases": ["x", " "], "treshold": 0.5},
        {"name": "b", "phrases": "one text", "zones": ["nowhere"], "threshold": null},
        {"name": "c", "phrases": ["standing"]},
    ]);
    let errors = overlaid(actions, Some(json!([3]))).unwrap_err().to_string();
    for expected in [
        "vocabulary set over MQTT: action[0].name: \"Bad Name\" may hold",
        "action[0].phrases[1]: a blank phrase",
        "action[0].treshold: unknown key; did you mean `threshold`?",
        "action[1].phrases: invalid type: string \"one text\", expected a list in [ ]",
        "action[1].threshold: null is no value",
        "action[1].zones[0]: no camera has a zone `nowhere`",
        "vocabulary.background[0]: invalid type: integer `3`, expected a text in quotes",
    ] {
        assert!(errors.contains(expected), "{expected}\n{errors}");
    }
    for not_a_list in [json!(null), json!("x"), json!({"name": "x"}), json!([1, 2]), json!([[]]), json!([])] {
        let errors = overlaid(not_a_list.clone(), None).unwrap_err().to_string();
        assert!(errors.contains("action"), "{not_a_list}: {errors}");
    }
}

/// Any JSON, and JSON that looks like an action list.
fn any_json() -> impl Strategy<Value = Json> {
    let key = prop_oneof![
        Just("name".to_owned()),
        Just("phrases".to_owned()),
        Just("threshold".to_owned()),
        Just("minimum_duration".to_owned()),
        Just("zones".to_owned()),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        "[a-z_]{1,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::hash_map(key.clone(), inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

/// Texts that are nearly configurations: the example with pieces cut out, doubled or replaced.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[[camera]]\n".to_owned()),
        Just("[camera]\n".to_owned()),
        Just("[[action]]\nname = 3\n".to_owned()),
        Just("camera = [1, {name = 2}]\n".to_owned()),
        Just("node.name = []\n".to_owned()),
        Just("\"mqtt.host\" = {a = nan}\n".to_owned()),
        Just("[[camera.zone]]\npolygon = [[[0]], 1979-05-27]\n".to_owned()),
        Just("= [[{".to_owned()),
        "[\\[\\]{}=,.#\"'a-z0-9\n -]{0,12}",
        any::<String>(),
    ];
    let lines: Vec<String> =
        EXAMPLE.lines().map(|l| format!("{}\n", l.strip_prefix('#').unwrap_or(l))).collect();
    prop::collection::vec((prop::sample::subsequence(lines.clone(), 0..lines.len()), piece), 1..4)
        .prop_map(|parts| parts.into_iter().flat_map(|(lines, piece)| [lines.concat(), piece]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_an_error_and_never_a_panic(text in any::<String>()) {
        prop_assert!(Config::parse(&text).is_err());
    }

    #[test]
    fn any_overlay_is_in_effect_or_refused_with_words(actions in any_json(), background in prop::option::of(any_json())) {
        match overlaid(actions.clone(), background) {
            Ok(loaded) => prop_assert_eq!(Some(loaded.config.actions.len()), actions.as_array().map(Vec::len)),
            Err(errors) => {
                prop_assert!(errors.errors() > 0);
                prop_assert!(errors.problems.iter().all(|problem| !problem.message.is_empty()));
            }
        }
    }

    #[test]
    fn what_is_nearly_a_configuration_never_panics(text in nearly(), value in any::<String>()) {
        if let Err(errors) = load(&text, &[("WATCHWORD__MQTT__PORT", &value), ("WATCHWORD__A.B__[0]", "x")]) {
            prop_assert!(errors.errors() > 0);
            prop_assert!(!errors.to_string().is_empty());
        }
    }

    #[test]
    fn what_is_shown_loads_to_the_same(
        threshold in 0.2f32..=1.0,
        fps in 0.001f64..1000.0,
        micros in 0u64..3_600_000_000,
        corner in 0.5f32..1.0,
        phrase in "[a-z\"\\\\{}'#\n é]{0,20}[a-z]",
        port in 1u16..,
    ) {
        let mut config = Config::parse(EXAMPLE).unwrap();
        config.actions[0].threshold = threshold;
        config.actions[0].phrases[0] = phrase;
        config.cameras[0].analysis_fps = Some(fps);
        config.cameras[0].zones[0].polygon[2] = [corner, corner];
        config.scoring.smoothing = Span::from_secs_f64(micros as f64 / 1e6);
        config.mqtt.port = Some(port);
        let text = toml::to_string(&config).unwrap();
        let loaded = load(&text, &[]).unwrap();
        prop_assert_eq!(&loaded.config, &config);
        let again = load(&loaded.to_toml().unwrap(), &[]).unwrap();
        prop_assert_eq!(again.config, config);
    }
}
