//! What may be commanded over MQTT, as it is written, and how it is answered.
//!
//! A payload is not to be trusted: whatever it is, it is either a [`Command`] or answered with what is wrong with it.

use serde_json::{Map, Value as Json, json};

use super::Incoming;

/// Bytes of a command at most.
pub const MOST_BYTES: usize = 64 * 1024;
/// Characters of a request's `id` at most.
const MOST_ID: usize = 128;

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Read the configuration file again.
    Reload,
    /// Watch a camera, or all, no more.
    Pause(Option<String>),
    /// Watch a camera, or all, again.
    Resume(Option<String>),
    /// Publish a picture of a camera.
    Snapshot(Option<String>),
    /// Watch for these actions instead of the file's.
    Vocabulary { actions: Json, background: Option<Json> },
    /// Watch for the file's actions again.
    FilesVocabulary,
}

/// A command and whom to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The command's name as it stands in the topic.
    pub name: String,
    /// As the sender gave it, to be given back.
    pub id: Option<Json>,
    pub command: Command,
}

/// What becomes of a message on a command's topic.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    Request(Request),
    /// It was published in the past; nobody waits for an answer.
    Stale,
    /// To be answered with this.
    Refused {
        name: String,
        id: Option<Json>,
        error: String,
    },
}

/// The names of all commands.
const NAMES: [&str; 5] = ["reload", "pause", "resume", "snapshot", "vocabulary"];

impl Received {
    /// Reads a message on `<base>/<node>/command/<name>`.
    pub fn new(message: &Incoming) -> Self {
        let name = message.topic.rsplit('/').next().unwrap_or_default().to_owned();
        if message.retained {
            return Self::Stale;
        }
        let mut id = None;
        match command(&name, &message.payload, &mut id) {
            Ok(command) => Self::Request(Request { name, id, command }),
            Err(error) => Self::Refused { name, id, error },
        }
    }
}

fn command(name: &str, payload: &[u8], id: &mut Option<Json>) -> Result<Command, String> {
    if !NAMES.contains(&name) {
        return Err(format!("there is no such command; there are {}", NAMES.join(", ")));
    }
    if payload.len() > MOST_BYTES {
        return Err(format!(
            "{} bytes are more than the {MOST_BYTES} that a command may have",
            payload.len()
        ));
    }
    let json = if payload.trim_ascii().is_empty() {
        Json::Null
    } else {
        serde_json::from_slice(payload).map_err(|error| format!("not JSON: {error}"))?
    };
    let mut fields = match json {
        Json::Object(fields) => fields,
        Json::Null if name == "vocabulary" => return Ok(Command::FilesVocabulary),
        Json::Array(_) if name == "vocabulary" => {
            return Ok(Command::Vocabulary { actions: json, background: None });
        }
        Json::Null => Map::new(),
        _ if name == "vocabulary" => return Err("write a list of actions, or null for the file's".into()),
        _ => return Err("write a JSON object such as {\"id\": 1, \"camera\": \"gate\"}, or nothing".into()),
    };
    *id = fields.remove("id").map(fitting_id).transpose()?;
    let command = match name {
        "vocabulary" => vocabulary(&mut fields)?,
        "pause" if is_taken_back(&mut fields)? => Command::Resume(camera(&mut fields)?),
        "pause" => Command::Pause(camera(&mut fields)?),
        "resume" => Command::Resume(camera(&mut fields)?),
        "snapshot" => Command::Snapshot(camera(&mut fields)?),
        _ => Command::Reload,
    };
    match fields.keys().next() {
        None => Ok(command),
        Some(unknown) => Err(format!("unknown key {unknown:?}")),
    }
}

/// `id` comes back in the answer, so it is kept short.
fn fitting_id(id: Json) -> Result<Json, String> {
    match &id {
        Json::String(text) if text.chars().count() <= MOST_ID => Ok(id),
        Json::Number(_) => Ok(id),
        _ => Err(format!("id: give a number, or a text of at most {MOST_ID} characters")),
    }
}

fn camera(fields: &mut Map<String, Json>) -> Result<Option<String>, String> {
    match fields.remove("camera") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(name)) => Ok(Some(name)),
        Some(_) => Err("camera: give a name, or leave it out".into()),
    }
}

/// `"paused": false`, for switches that publish to one topic whether they are turned on or off.
fn is_taken_back(fields: &mut Map<String, Json>) -> Result<bool, String> {
    match fields.remove("paused") {
        None | Some(Json::Bool(true)) => Ok(false),
        Some(Json::Bool(false)) => Ok(true),
        Some(_) => Err("paused: give true or false, or leave it out".into()),
    }
}

fn vocabulary(fields: &mut Map<String, Json>) -> Result<Command, String> {
    let background = fields.remove("background");
    match (fields.remove("actions"), background) {
        (None, _) => Err("no actions; give a list of them, or null for the file's".into()),
        (Some(Json::Null), None) => Ok(Command::FilesVocabulary),
        (Some(Json::Null), Some(_)) => Err("background: the file's actions come with the file's".into()),
        (Some(actions), background) => Ok(Command::Vocabulary { actions, background }),
    }
}

/// The answer to a request: `{"ok": true, ..}` with what `result` holds, or `{"ok": false, "error": ..}`.
pub(super) fn answer(id: Option<&Json>, result: Result<Json, String>) -> Vec<u8> {
    let mut answer = match result {
        Ok(Json::Object(more)) => {
            let mut answer = Map::from_iter([("ok".to_owned(), json!(true))]);
            answer.extend(more);
            answer
        }
        Ok(_) => Map::from_iter([("ok".to_owned(), json!(true))]),
        Err(error) => Map::from_iter([("ok".to_owned(), json!(false)), ("error".to_owned(), json!(error))]),
    };
    if let Some(id) = id {
        answer.insert("id".into(), id.clone());
    }
    Json::Object(answer).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn receive(name: &str, payload: &[u8]) -> Received {
        let topic = format!("watchword/dock-3/command/{name}");
        Received::new(&Incoming { topic, payload: payload.to_vec(), retained: false })
    }

    fn request(name: &str, payload: &str) -> Request {
        match receive(name, payload.as_bytes()) {
            Received::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(name: &str, payload: &str) -> (Option<Json>, String) {
        match receive(name, payload.as_bytes()) {
            Received::Refused { name: refused, id, error } if refused == name => (id, error),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn commands_are_read_with_their_ids() {
        for payload in ["", " \n", "{}", "null"] {
            assert_eq!(request("reload", payload).command, Command::Reload);
            assert_eq!(request("pause", payload).command, Command::Pause(None));
        }
        let resume = request("resume", r#"{"id": "a", "camera": "gate"}"#);
        assert_eq!((resume.id, resume.command), (Some(json!("a")), Command::Resume(Some("gate".into()))));
        let pause = |paused| format!(r#"{{"camera": "gate", "paused": {paused}}}"#);
        assert_eq!(request("pause", &pause("false")).command, Command::Resume(Some("gate".into())));
        assert_eq!(request("pause", &pause("true")).command, Command::Pause(Some("gate".into())));
        assert!(refusal("pause", &pause("0")).1.starts_with("paused: "));
        assert_eq!(request("snapshot", r#"{"camera": null, "id": 7}"#).id, Some(json!(7)));
        let actions = json!([{"name": "x", "phrases": ["x"]}]);
        let expected = Command::Vocabulary { actions: actions.clone(), background: None };
        assert_eq!(request("vocabulary", &actions.to_string()).command, expected);
        let with = json!({"id": 1, "actions": actions, "background": ["y"]}).to_string();
        let expected = Command::Vocabulary { actions, background: Some(json!(["y"])) };
        assert_eq!(request("vocabulary", &with).command, expected);
        for payload in ["", "null", r#"{"id": 1, "actions": null}"#] {
            assert_eq!(request("vocabulary", payload).command, Command::FilesVocabulary);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_id_where_there_is_one() {
        assert!(refusal("reboot", "{}").1.contains("there are reload, pause, resume, snapshot, vocabulary"));
        assert!(refusal("reload", "{\"id\": 1").1.starts_with("not JSON: EOF while parsing"));
        assert!(refusal("reload", "[]").1.contains("JSON object"));
        assert_eq!(refusal("pause", r#"{"id": 3, "camera": 4}"#).0, Some(json!(3)));
        assert_eq!(
            refusal("pause", r#"{"id": 3, "cam": "x"}"#),
            (Some(json!(3)), "unknown key \"cam\"".into())
        );
        assert!(refusal("pause", r#"{"id": [1]}"#).1.starts_with("id: give a number"));
        assert!(refusal("pause", &json!({"id": "x".repeat(200)}).to_string()).1.starts_with("id: "));
        assert!(refusal("vocabulary", "3").1.contains("list of actions"));
        assert!(refusal("vocabulary", r#"{"id": 1}"#).1.starts_with("no actions"));
        assert!(refusal("vocabulary", r#"{"actions": null, "background": []}"#).1.starts_with("background"));
        assert!(refusal("vocabulary", &" ".repeat(70_000)).1.contains("70000 bytes"));
        let deep = "[".repeat(60_000);
        assert!(refusal("vocabulary", &deep).1.starts_with("not JSON: recursion limit"));
    }

    #[test]
    fn what_was_retained_is_stale_and_not_obeyed() {
        let stale = Incoming { topic: "w/n/command/pause".into(), payload: Vec::new(), retained: true };
        assert_eq!(Received::new(&stale), Received::Stale);
    }

    #[test]
    fn answers_give_the_id_back() {
        let text = |id: Option<Json>, result| String::from_utf8(answer(id.as_ref(), result)).unwrap();
        assert_eq!(
            text(Some(json!(7)), Ok(json!({"vocabulary": "9f31c2d4"}))),
            r#"{"id":7,"ok":true,"vocabulary":"9f31c2d4"}"#
        );
        assert_eq!(text(None, Ok(Json::Null)), r#"{"ok":true}"#);
        assert_eq!(text(Some(json!("a")), Err("no".into())), r#"{"error":"no","id":"a","ok":false}"#);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_command_or_refused_with_words(
            name in prop_oneof![prop::sample::select(&NAMES[..]).prop_map(str::to_owned), any::<String>()],
            payload in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                r#"\{("id": ?[0-9"\[]{0,3}[,}]?)?("(camera|actions|background)": ?(null|[0-9]|"x"|\[\]|\{\}))?\}?"#.prop_map(String::into_bytes),
            ],
        ) {
            match receive(&name, &payload) {
                Received::Request(request) => prop_assert!(NAMES.contains(&request.name.as_str())),
                Received::Refused { error, .. } => prop_assert!(!error.is_empty()),
                Received::Stale => prop_assert!(false, "it was not retained"),
            }
        }
    }
}
