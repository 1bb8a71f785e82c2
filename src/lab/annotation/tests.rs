use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::lab::map::Tube;

fn setting() -> Setting {
    Setting { classes: None, split: 1 }
}

fn file(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

fn refused(content: &[u8], format: Option<Format>) -> String {
    format!("{:#}", truth(file(content).path(), format, &setting()).unwrap_err())
}

fn listed(content: &str) -> anyhow::Result<Vec<(i64, String)>> {
    let classes = classes(file(content.as_bytes()).path())?;
    Ok(classes.into_iter().map(|class| (class.id, class.name)).collect())
}

#[test]
fn labels_are_listed_in_three_ways() {
    let is =
        |list: &[(i64, &str)]| list.iter().map(|(id, name)| (*id, (*name).to_owned())).collect::<Vec<_>>();
    assert_eq!(listed("sit\n\nrun\n").unwrap(), is(&[(1, "sit"), (2, "run")]));
    assert_eq!(
        listed("3 sit\n11 talk to (a person)\n").unwrap(),
        is(&[(3, "sit"), (11, "talk to (a person)")])
    );
    let items = "item {\n  name: \"sit (id: 7)\"\n  id: 11\n}\nitem {\n  name: \"run\"\n  id: 2\n}\n";
    assert_eq!(listed(items).unwrap(), is(&[(11, "sit (id: 7)"), (2, "run")]));
    let labels = "label {\n  name: \"sit\"\n  label_id: 11\n  label_type: PERSON_MOVEMENT\n}\n";
    assert_eq!(listed(labels).unwrap(), is(&[(11, "sit")]));
    assert_eq!(listed("sit down\n11 times\n").unwrap(), is(&[(1, "sit down"), (2, "11 times")]));
    assert!(format!("{:#}", listed("item { id: 3 }").unwrap_err()).contains("has not name and id"));
    assert!(format!("{:#}", listed(" \n").unwrap_err()).contains("no label in it"));
}

#[test]
fn a_video_is_known_under_the_names_that_others_give_it() {
    let mut catalogue = Catalogue::numbered(1, ["brush_hair".to_owned()]).unwrap();
    let ucf = catalogue.video("Basketball/v_Basketball_g01_c01");
    let iclip = catalogue.video("April_09_brush_hair_u_0");
    let (one, two) = (catalogue.video("a/clip"), catalogue.video("b/clip"));
    let names = VideoNames::lenient(&catalogue);
    for (name, video) in [
        ("Basketball/v_Basketball_g01_c01", Some(ucf)),
        ("Basketball/v_Basketball_g01_c01.avi", Some(ucf)),
        ("Basketball_v_Basketball_g01_c01", Some(ucf)),
        ("v_Basketball_g01_c01", Some(ucf)),
        ("brush_hair/April_09_brush_hair_u_0", Some(iclip)),
        ("brush_hair_April_09_brush_hair_u_0", Some(iclip)),
        ("a_clip", Some(one)),
        ("b/clip.mp4", Some(two)),
        ("clip", None),
        ("v_Basketball_g01_c02", None),
    ] {
        assert_eq!(names.find(name, &catalogue), video, "{name}");
    }
    assert_eq!(VideoNames::exact().find("a_clip", &catalogue), None);
}

/// A pickle, protocol 2, of one tube of these bytes (f4) and shape, which stands in it `times` times.
fn tubes_pickle(data: &[f32], shape: (u8, u8), times: usize) -> Vec<u8> {
    let text = |text: &str| {
        [&[b'X'][..], &u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat()
    };
    let bytes: Vec<u8> = data.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut pickle = b"\x80\x02}(".to_vec();
    pickle.extend([text("labels"), b"](".to_vec(), text("sit"), b"e".to_vec()].concat());
    pickle.extend([text("test_videos"), b"](](".to_vec(), text("v"), b"ee".to_vec()].concat());
    pickle.extend([text("gttubes"), b"}(".to_vec(), text("v"), b"}(K\x00](".to_vec()].concat());
    pickle.extend(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R");
    pickle.extend([b'(', b'K', 1, b'K', shape.0, b'K', shape.1, 0x86]);
    pickle.extend(
        b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
    );
    pickle.extend(
        [&[b'T'][..], &u32::try_from(bytes.len()).unwrap().to_le_bytes(), &bytes, b"tbq\x00"].concat(),
    );
    pickle.extend(std::iter::repeat_n(*b"h\x00", times - 1).flatten());
    pickle.extend(b"euuu.");
    pickle
}

#[test]
fn tubes_of_python_2_are_read_without_python() {
    let rows = [1.0, 2.0, 3.0, 40.0, 50.0, 2.0, 2.0, 3.0, 41.0, 50.0];
    let file = file(&tubes_pickle(&rows, (2, 5), 1));
    let (catalogue, truth, format) = truth(file.path(), None, &setting()).unwrap();
    assert_eq!((format, catalogue.videos(), truth.tubes.len()), (Format::Tubes, &["v".to_owned()][..], 1));
    let tube = Tube::of_rows([[1.0, 2.0, 3.0, 40.0, 50.0], [2.0, 2.0, 3.0, 41.0, 50.0]]).unwrap();
    assert_eq!(truth.tubes[0].tube, tube);
}

#[test]
fn an_array_that_is_not_what_it_says_is_refused() {
    let rows = [1.0, 2.0, 3.0, 40.0, 50.0];
    let error = refused(&tubes_pickle(&rows, (2, 5), 1), None);
    assert!(
        error.contains("gttubes of v, sit, tube 0") && error.contains("shape [2, 5] with 5 values"),
        "{error}"
    );
    let error = refused(&tubes_pickle(&rows[..4], (1, 4), 1), None);
    assert!(error.contains("shape [1, 4], not of rows of 5"), "{error}");
    let error = refused(&tubes_pickle(&[1.0, 2.0, f32::NAN, 40.0, 50.0], (1, 5), 1), None);
    assert!(error.contains("not of finite numbers"), "{error}");
    let error = refused(&tubes_pickle(&[], (0, 5), 1), None);
    assert!(error.contains("no boxes"), "{error}");
}

#[test]
fn an_array_that_stands_in_a_file_without_end_is_refused() {
    let rows: Vec<f32> = (0..200u8).flat_map(|frame| [frame.into(), 0.0, 0.0, 9.0, 9.0]).collect();
    let pickle = tubes_pickle(&rows, (200, 5), 100_000);
    assert!(pickle.len() < 250_000);
    assert!(refused(&pickle, None).contains("over and over, more rows than bytes"));
}

/// Beginnings that lead into each reader.
const STARTS: [&[u8]; 6] = [
    b"",
    b"\x80\x02",
    b"{\"labels\": [\"a\"], \"tubes\": [",
    b"[{\"image_id\": ",
    b"v,1,2,3,4,5,6,",
    b"(dp0\n",
];

proptest! {
    #[test]
    fn any_file_is_read_or_refused(start in 0..STARTS.len(), rest in proptest::collection::vec(any::<u8>(), 0..80)) {
        let file = file(&[STARTS[start], &rest].concat());
        let formats = [Format::Reference, Format::Tubes, Format::Ucf101, Format::Jhmdb, Format::Yowo, Format::Ava];
        for format in formats.map(Some).into_iter().chain([None]) {
            let _ = truth(file.path(), format, &setting());
            let _ = detections(file.path(), format, None, Format::Reference, &mut Catalogue::default());
        }
    }
}
