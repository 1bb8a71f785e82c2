use super::*;
use crate::heads::Kind;
use crate::lab::split::Split;

fn labels(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn every_table_can_be_read_and_its_rows_are_named_once() {
    let tables = tables().unwrap();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["zero-shot", "compared", "units", "orders", "supervised", "video", "beyond"]);
    for table in &tables {
        for (index, row) in table.rows.iter().enumerate() {
            assert!(table.rows[..index].iter().all(|other| other.name != row.name), "{}", row.name);
            assert!(row.method.is_some() || !row.published.is_empty(), "{} says nothing", row.name);
            if let Some(method) = &row.method {
                let ways = [method.frozen.is_some(), method.units.is_some(), method.temporal.is_some()];
                let ways = ways.into_iter().filter(|is| *is).count();
                assert_eq!(ways, 1, "{}: {method:?}", row.name);
            }
        }
    }
    assert!(table("unit").unwrap_err().to_string().contains("zero-shot, compared, units"));
}

#[test]
fn methods_are_what_the_rows_say() {
    let orders = table("orders").unwrap();
    for row in &orders.rows {
        let units = row.method.clone().unwrap().units.unwrap();
        assert_eq!(String::from(units.clone()), row.name, "a row is called as its units");
        assert_eq!(units.0.len(), 4);
    }
    let units = Method { units: Some("OC".to_owned().try_into().unwrap()), ..Method::default() };
    assert_eq!(units.units.unwrap().0, [Kind::Object, Kind::Context]);
    assert!(method::Units::try_from("PX".to_owned()).is_err());
    assert!(toml::from_str::<Method>("promping = true").is_err(), "a misspelling is no default");
}

#[test]
fn what_is_compared_is_found_by_how_it_is_made() {
    let tables = tables().unwrap();
    let metric = Metric { measure: Measure::Frame, iou: 0.5 };
    let figure = |method: Method| figure(&tables, &method, "jhmdb-75", metric);
    let video = |blocks| Method { temporal: Some(blocks), ..Method::default() };
    assert_eq!(figure(Method { bare: true, ..video(6) }), Some(62.80));
    assert_eq!(figure(Method { phrases: true, ..video(6) }), Some(60.26));
    assert_eq!(figure(Method { bare: true, ..video(2) }), Some(58.60));
    assert_eq!(figure(Method { vectors: Some(8), ..video(2) }), Some(60.28));
    assert_eq!(figure(video(6)), None);
}

#[test]
fn a_task_is_recognised_by_its_labels_and_shares() {
    let jhmdb = labels(
        "brush_hair catch clap climb_stairs golf jump kick_ball pick pour pullup push run shoot_ball shoot_bow \
         shoot_gun sit stand swing_baseball throw walk wave",
    );
    assert_eq!(benchmark(&jhmdb, 15, 6).as_deref(), Some("jhmdb-75"));
    assert_eq!(benchmark(&jhmdb, 10, 11).as_deref(), Some("jhmdb-50"));
    assert_eq!(benchmark(&jhmdb, 21, 21).as_deref(), Some("jhmdb-all"));
    assert_eq!(benchmark(&jhmdb, 16, 5), None);
    assert_eq!(benchmark(&jhmdb[1..], 15, 5), None);
    assert_eq!(benchmark(&labels("a b c d"), 3, 1), None);
}

#[test]
fn a_spread_is_of_a_sample() {
    let spread = Spread::of(vec![1.0, 2.0, 3.0]).unwrap();
    assert_eq!((spread.mean, spread.deviation), (2.0, Some(1.0)));
    assert_eq!(Spread::of(vec![4.0]).unwrap().deviation, None);
    assert_eq!(Spread::of(Vec::new()), None);
}

#[test]
fn our_numbers_stand_beside_the_published_ones() {
    let table = table("units").unwrap();
    let split = Split { name: "jhmdb-75".into(), seen: labels("run"), unseen: labels("sit") };
    let mut sheet = Sheet::new(&table, Some("jhmdb-75"), &[split]);
    sheet.rows[1].cells[0].ours = Spread::of(vec![61.0, 63.0]);
    sheet.rows[1].labels = vec![LabelCell { label: "sit".into(), ap: Spread::of(vec![62.0]).unwrap() }];
    sheet.rows[0].missing = Some("the features hold no persons".into());
    let text = sheet.markdown();
    for line in [
        "| | frame@0.5 published | frame@0.5 ours |",
        "| P | 59.79 | – |",
        "| P+C | 62.36 | 62.00 ± 1.41 (2) |",
        "P: the features hold no persons.",
        "| frame@0.5 by label | P+C |",
        "| sit | 62.00 |",
        "- published figures: jhmdb-75, CLIP ViT-B/16",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is not in {text}");
    }
    let json = serde_json::to_value(&sheet).unwrap();
    assert_eq!(json["rows"][1]["cells"][0]["ours"]["mean"], 62.0);
    assert_eq!(json["metrics"][0], "frame@0.5");
    // Another task has nothing published.
    let other = Sheet::new(&table, None, &[]);
    assert!(other.rows.iter().flat_map(|row| &row.cells).all(|cell| cell.published.is_none()));
    assert!(other.markdown().contains("none for this task"));
}
