use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = include_str!("../../../board/watchword.toml");

/// As they are in `text`.
fn actions(text: &str) -> (Vec<EditedAction>, Vec<String>) {
    let config: Config = toml::from_str(text).unwrap();
    (config.actions.iter().map(edited).collect(), config.vocabulary.background)
}

fn edited(action: &Action) -> EditedAction {
    let Action { name, phrases, threshold, minimum_duration, .. } = action.clone();
    let (threshold, minimum_duration) = (Some(threshold), Some(minimum_duration));
    EditedAction { name, was: None, phrases, threshold, minimum_duration }
}

fn new(name: &str) -> EditedAction {
    edited(&Action { name: name.into(), phrases: vec![format!("a person {name}")], ..Action::default() })
}

/// Lines of `after` that are not in `before`, and the other way round.
fn difference<'a>(before: &'a str, after: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    let lines =
        |text: &'a str, other: &str| text.lines().filter(|line| !other.lines().any(|l| l == *line)).collect();
    (lines(before, after), lines(after, before))
}

#[test]
fn what_is_not_changed_is_not_touched() {
    let (actions, background) = actions(EXAMPLE);
    assert_eq!(with_words(EXAMPLE, &actions, &background).unwrap(), EXAMPLE);
    let camera = &Config::parse(EXAMPLE).unwrap().cameras[0];
    assert_eq!(with_regions(EXAMPLE, "gate", &camera.zones, &camera.masks).unwrap(), EXAMPLE);
}

#[test]
fn words_are_changed_in_place() {
    let (mut actions, mut background) = actions(EXAMPLE);
    actions[0].phrases.push("scaling a fence".into());
    actions[0].threshold = Some(0.725);
    actions[1].was = Some("fighting".into());
    actions[1].name = "brawl".into();
    background.remove(1);
    background.push("a person on a bench".into());
    let after = with_words(EXAMPLE, &actions, &background).unwrap();
    let (gone, come) = difference(EXAMPLE, &after);
    assert_eq!(
        gone,
        [
            "phrases = [\"climbing over a fence\", \"climbing over a wall\"]",
            "threshold = 0.6",
            "name = \"fighting\"",
            "  \"a person standing still\",",
        ]
    );
    assert_eq!(
        come,
        [
            "phrases = [\"climbing over a fence\", \"climbing over a wall\", \"scaling a fence\"]",
            "threshold = 0.725",
            "name = \"brawl\"",
            "  \"a person on a bench\",",
        ]
    );
    let config = Config::parse(&after).unwrap();
    assert_eq!(config.actions[0].zones, ["perimeter"], "what the page does not know stays");
    assert_eq!(config.vocabulary.background, background);
}

#[test]
fn an_action_comes_behind_the_others_and_what_is_left_of_the_last_stays_with_it() {
    let (mut actions, background) = actions(EXAMPLE);
    actions.push(EditedAction { threshold: None, minimum_duration: None, ..new("waving") });
    actions[0].threshold = None;
    let after = with_words(EXAMPLE, &actions, &background).unwrap();
    let (gone, come) = difference(EXAMPLE, &after);
    assert!(gone.is_empty(), "{gone:?}");
    assert_eq!(come, ["name = \"waving\"", "phrases = [\"a person waving\"]"]);
    let at = |line: &str| after.lines().position(|l| l == line).unwrap();
    assert!(
        at("#minimum_duration = \"500ms\"") < at("name = \"waving\"")
            && at("name = \"waving\"") < at("[vocabulary]")
    );
    actions.remove(1);
    let without = with_words(&after, &actions, &background).unwrap();
    let config = Config::parse(&without).unwrap();
    let names: Vec<_> = config.actions.iter().map(|action| action.name.as_str()).collect();
    assert_eq!(names, ["climbing_fence", "waving"]);
    assert!(!without.contains("fighting") && without.contains("# Actions to watch for, in words."));
}

#[test]
fn the_comment_above_a_list_outlives_its_first() {
    let (mut actions, background) = actions(EXAMPLE);
    actions.remove(0);
    let after = with_words(EXAMPLE, &actions, &background).unwrap();
    let (gone, come) = difference(EXAMPLE, &after);
    assert!(come.is_empty() && gone.iter().all(|line| !line.starts_with("# Actions")), "{gone:#?}");
    let all_new = with_words(EXAMPLE, &[new("waving")], &background).unwrap();
    assert!(all_new.contains("# Actions to watch for, in words."), "{all_new}");
    assert_eq!(Config::parse(&all_new).unwrap().actions.len(), 1);
    assert!(all_new.find("waving") < all_new.find("[vocabulary]"));
}

#[test]
fn lists_of_braces_and_files_without_anything_are_changed_too() {
    let text =
        "action = [\n  { name = 'a', phrases = ['x'] }, # one\n  { name = 'b', phrases = ['y'] }, # two\n]\n";
    let (mut actions, _) = actions(text);
    actions.remove(0);
    actions.push(new("c"));
    let after = with_words(text, &actions, &["standing".into()]).unwrap();
    assert_eq!(
        after,
        "action = [ # one\n  { name = 'b', phrases = ['y'] }, # two\n  { name = \"c\", phrases = [\"a person c\"], threshold = \
         0.5, minimum_duration = \"500ms\" },\n]\n\n[vocabulary]\nbackground = [\"standing\"]\n"
    );
    let bare = "[[camera]]\nname = 'gate'\nsource = 'a.avi'\n# its own\n\n# the second\n[[camera]]\nname = 'yard'\nsource = 'b.avi'\n";
    let zone = Zone { name: "lawn".into(), polygon: vec![[0.0, 0.0], [0.5, 0.1], [1.0, 1.0]] };
    let after = with_regions(bare, "gate", &[zone], &[]).unwrap();
    assert_eq!(
        after,
        "[[camera]]\nname = 'gate'\nsource = 'a.avi'\n# its own\n\n[[camera.zone]]\nname = \"lawn\"\npolygon = [[0.0, 0.0], [0.5, \
         0.1], [1.0, 1.0]]\n\n# the second\n[[camera]]\nname = 'yard'\nsource = 'b.avi'\n"
    );
}

#[test]
fn what_cannot_be_changed_is_named() {
    let error = with_regions("", "gate", &[], &[]).unwrap_err();
    assert_eq!(error.to_string(), "the configuration has no [[camera]] with name = \"gate\"");
    assert!(matches!(with_words("=", &[], &[]), Err(EditError::Syntax(_) | EditError::Unreadable(_))));
    assert!(with_words("action = 3", &[new("a")], &[]).is_err());
}

/// A configuration with comments everywhere, as `[[action]]` or in braces.
fn document(names: &[usize], braces: bool) -> String {
    let mut text = String::from("# top\n[node]\nname = \"box\" # node\n\n");
    if braces {
        text = format!("# top\naction = [ # open\n{}] # close\n\n[node]\nname = \"box\" # node\n", {
            let element =
                |n: &usize| format!("  {{ name = 'a{n}', phrases = [\"p{n}\", \"q{n}\"] }}, # e{n}\n");
            names.iter().map(element).collect::<String>()
        });
    } else {
        for n in names {
            text += &format!(
                "# above a{n}\n[[action]] # header a{n}\nname = \"a{n}\"\n\n# inside a{n}\nphrases = [\n  \"p{n}\", # first of \
                 {n}\n  \"q{n}\", # second of {n}\n]\n#threshold = 0.{n}\n\n"
            );
        }
    }
    text + "\n# about the vocabulary\n[vocabulary] # v\nbackground = [\"b0\", \"b1\"] # b\n# end\n"
}

fn texts(prefix: &'static str) -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set(0..5usize, 1..4)
        .prop_map(|set| set.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(move |list| list.into_iter().map(|n| format!("{prefix}{n}")).collect())
}

fn wanted() -> impl Strategy<Value = Vec<EditedAction>> {
    let action = (0..8usize, prop::collection::btree_set(0..6usize, 1..4), 1..100u32, 1..5000u32);
    prop::collection::vec(action, 1..6).prop_map(|list| {
        let mut seen = std::collections::HashSet::new();
        let actions = list.into_iter().filter(|(n, ..)| seen.insert(*n));
        let edited = |(n, phrases, hundredths, ms): (usize, std::collections::BTreeSet<usize>, u32, u32)| {
            EditedAction {
                name: format!("a{n}"),
                was: None,
                phrases: phrases
                    .iter()
                    .map(|p| if *p < 2 { format!("{}{n}", ["p", "q"][*p]) } else { format!("new {n} {p}") })
                    .collect(),
                threshold: Some(hundredths as f32 / 100.0),
                minimum_duration: Some(Span::from_secs_f64(f64::from(ms) / 1000.0)),
            }
        };
        actions.map(edited).collect()
    })
}

proptest! {
    #[test]
    fn the_text_says_what_was_asked_and_the_rest_of_it_is_as_it_was(
        names in prop::collection::btree_set(0..8usize, 0..5),
        braces: bool,
        wanted in wanted(),
        background in texts("b"),
    ) {
        let names: Vec<_> = names.into_iter().collect();
        let before = document(&names, braces);
        let after = with_words(&before, &wanted, &background).unwrap();
        let config: Config = toml::from_str(&after).unwrap_or_else(|error| panic!("{error}\n{after}"));
        let mut found: Vec<_> = config.actions.iter().map(edited).collect();
        let mut expected = wanted.clone();
        for list in [&mut found, &mut expected] {
            list.sort_by(|a, b| a.name.cmp(&b.name));
        }
        prop_assert_eq!(found, expected, "{}", &after);
        prop_assert_eq!(&config.vocabulary.background, &background);
        prop_assert_eq!(&config.node.name, "box");
        for comment in ["# top", "# node", "# about the vocabulary\n[vocabulary] # v", "# b\n# end\n"] {
            prop_assert!(after.contains(comment), "{} is gone from\n{}", comment, after);
        }
        for n in names.iter().filter(|_| !braces) {
            let stays = wanted.iter().any(|action| action.name == format!("a{n}"));
            for comment in [format!("# above a{n}\n[[action]] # header a{n}"), format!("# inside a{n}")] {
                prop_assert!(!stays || after.contains(&comment), "{} is gone from\n{}", comment, after);
            }
        }
        prop_assert_eq!(with_words(&after, &wanted, &background).unwrap(), after.clone(), "twice is once");
    }

    #[test]
    fn regions_are_what_was_asked(
        zones in prop::collection::btree_map(0..5usize, 1..100u32, 0..4),
        masks in prop::collection::vec(1..100u32, 0..4),
    ) {
        let polygon = |n: u32| vec![[0.0, 0.0], [n as f32 / 100.0, 0.0], [0.5, 1.0]];
        let text = "[[camera]] # c\nname = 'yard'\nsource = 'y'\n# y\n\n[[camera]]\nname = 'gate'\nsource = 'g'\n# own\n\n\
                    # m0\n[[camera.mask]]\nname = 'window'\npolygon = [[0, 0], [0.1, 0.0], [0.5, 1]] # m\n\n# z0\n[[camera.zone]]\n\
                    name = \"z0\" # n\npolygon = [[0, 0], [0.1, 0.0], [0.5, 1]]\n\n[[camera.zone]]\nname = \"z1\"\npolygon = [[0, \
                    0], [0.2, 0.0], [0.5, 1]]\n\n# last\n[mqtt]\nport = 1 # p\n";
        let zones: Vec<_> = zones.iter().map(|(n, p)| Zone { name: format!("z{n}"), polygon: polygon(*p) }).collect();
        let masks: Vec<_> = masks.iter().map(|p| Mask { name: String::new(), polygon: polygon(*p) }).collect();
        let after = with_regions(text, "gate", &zones, &masks).unwrap();
        let config: Config = toml::from_str(&after).unwrap_or_else(|error| panic!("{error}\n{after}"));
        let mut found = config.cameras[1].zones.clone();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        prop_assert_eq!(found, zones, "{}", &after);
        let drawn = |masks: &[Mask]| {
            let mut drawn: Vec<_> = masks.iter().map(|mask| format!("{:?}", mask.polygon)).collect();
            drawn.sort();
            drawn
        };
        prop_assert_eq!(drawn(&config.cameras[1].masks), drawn(&masks));
        prop_assert!(config.cameras[0].zones.is_empty());
        for comment in ["[[camera]] # c", "# y", "# own", "# last\n[mqtt]\nport = 1 # p"] {
            prop_assert!(after.contains(comment), "{} is gone from\n{}", comment, after);
        }
    }
}
