//! What a camera must be: a source that there may be, rates and sizes of this world, polygons.

use jiff::tz::TimeZone;

use super::{slug, span, unique};
use crate::config::report::Report;
use crate::config::{Camera, Config, KeyPath, Speed, polygon};

const HOW_TO_WRITE_A_CAMERA: &str = "there is no camera; add one:\n  [[camera]]\n  name = \"gate\"\n  source = \
                                     \"/dev/video0\"";

/// Of a picture's width and height. With less there is hardly anybody to see.
const LEAST_REGION: f32 = 0.02;

/// Reports what is wrong with the cameras in themselves.
pub(super) fn cameras(config: &Config, report: &mut Report) {
    let path = KeyPath::default().key("camera");
    if config.cameras.is_empty() {
        report.error(&path, HOW_TO_WRITE_A_CAMERA);
    }
    unique(report, config.cameras.iter().map(|c| c.name.as_str()), |i| path.index(i).key("name"));
    for (i, camera) in config.cameras.iter().enumerate() {
        self::camera(camera, &path.index(i), report);
    }
}

/// Reports a time zone that nobody knows.
pub(super) fn time_zone(name: Option<&str>, path: &KeyPath, report: &mut Report) {
    let Some(name) = name else { return };
    if TimeZone::get(name).is_err() {
        let lowered = name.to_lowercase();
        let distance = |known: &str| strsim::damerau_levenshtein(&lowered, &known.to_lowercase());
        let nearest =
            jiff::tz::db().available().map(|known| known.to_string()).min_by_key(|known| distance(known));
        let nearest = nearest.filter(|known| distance(known) <= 1 + known.len() / 4);
        let remedy = nearest.map_or_else(
            || "write one of IANA's names such as \"Europe/Berlin\"".to_owned(),
            |nearest| format!("did you mean {nearest:?}?"),
        );
        report.error(path, format!("there is no time zone {name:?}; {remedy}"));
    }
}

fn camera(camera: &Camera, path: &KeyPath, report: &mut Report) {
    slug(report, &path.key("name"), &camera.name);
    if camera.source.trim().is_empty() {
        let message = "no source; give /dev/video0, an rtsp:// address, a video file or a folder of JPEGs";
        report.error(&path.key("source"), message);
    }
    if let Some([width, height]) = camera.size
        && !((1..=16_384).contains(&width) && (1..=16_384).contains(&height))
    {
        let message = format!(
            "{width}×{height} is no picture; give width and height in pixels, such as [640, 480], or leave it out"
        );
        report.error(&path.key("size"), message);
    }
    stream(camera, path, report);
    for (key, fps) in [("fps", camera.fps), ("analysis_fps", camera.analysis_fps)] {
        if let Some(fps) = fps
            && !(fps > 0.0 && fps <= 1000.0)
        {
            let message = format!(
                "{fps} is not a rate; give frames a second above 0 and at most 1000, or leave it out"
            );
            report.error(&path.key(key), message);
        }
    }
    span(report, &path.key("stall_timeout"), camera.stall_timeout, 0.5..=3600.0);
    if camera.source.contains("://") {
        let for_devices = "is for devices such as /dev/video0 and does nothing here; leave it out";
        if camera.format.is_some() {
            report.warning(&path.key("format"), for_devices);
        }
        if !camera.controls.is_empty() {
            report.warning(&path.key("controls"), for_devices);
        }
    }
    if let Speed::Times(factor) = camera.speed
        && !(0.01..=1000.0).contains(&factor)
    {
        let message = format!("{factor} is no speed; give a factor from 0.01 to 1000, or \"max\"");
        report.error(&path.key("speed"), message);
    }
    if camera.speed != Speed::default() && (camera.source.starts_with("/dev/") || is_stream(&camera.source)) {
        let message = "only a recording has a speed; take it out";
        report.error(&path.key("speed"), message);
    }
    if ![0, 90, 180, 270].contains(&camera.rotate) {
        let message =
            format!("{} is no quarter turn; give 0, 90, 180 or 270 degrees clockwise", camera.rotate);
        report.error(&path.key("rotate"), message);
    }
    if let Some(region @ [x1, y1, x2, y2]) = camera.region {
        let inside = region.iter().all(|side| (0.0..=1.0).contains(side));
        // Not NaN either.
        let large = x2 - x1 >= LEAST_REGION && y2 - y1 >= LEAST_REGION;
        if !(inside && large) {
            let message = format!(
                "{region:?} is no part of a picture; give left, top, right and bottom as fractions of the turned \
                 picture from 0 to 1, such as [0.25, 0.0, 0.75, 1.0], at least {LEAST_REGION} apart"
            );
            report.error(&path.key("region"), message);
        }
    }
    let masks = path.key("mask");
    unique(report, camera.masks.iter().map(|mask| mask.name.as_str()), |i| masks.index(i).key("name"));
    for (i, mask) in camera.masks.iter().enumerate() {
        if let Err(fault) = polygon::check(&mask.polygon) {
            report.error(&masks.index(i).key("polygon"), fault.to_string());
        }
    }
    let zones = path.key("zone");
    unique(report, camera.zones.iter().map(|z| z.name.as_str()), |i| zones.index(i).key("name"));
    for (i, zone) in camera.zones.iter().enumerate() {
        let path = zones.index(i);
        slug(report, &path.key("name"), &zone.name);
        if let Err(fault) = polygon::check(&zone.polygon) {
            report.error(&path.key("polygon"), fault.to_string());
        }
    }
}

fn stream(camera: &Camera, path: &KeyPath, report: &mut Report) {
    let (_, rest) = camera.source.split_once("://").unwrap_or_default();
    let credentials = rest.split(['/', '?', '#']).next().unwrap_or_default().rsplit_once('@');
    let is_url = is_stream(&camera.source);
    for (key, is_set) in
        [("username", camera.username.is_some()), ("password_file", camera.password_file.is_some())]
    {
        if is_set && !is_url {
            let message = "only a stream asks who we are, and the source is none; take it out";
            report.error(&path.key(key), message);
        } else if is_set && credentials.is_some_and(|(user, _)| !user.is_empty()) {
            let message = "the address in `source` already says who we are; take it out there, or here";
            report.error(&path.key(key), message);
        }
    }
    if camera.source.starts_with("rtsps://") && camera.tls_verify {
        let message = "ffmpeg does not check the certificate of an rtsps:// server, so anybody on the way can be the \
                       camera; keep it on a network of its own, and set tls_verify = false to show that you know";
        report.warning(&path.key("source"), message);
    }
    match (&camera.username, &camera.password_file) {
        (Some(name), _) if name.trim().is_empty() || name.contains(char::is_control) => {
            let message = "blank or with control characters; write a name, or leave it out";
            report.error(&path.key("username"), message);
        }
        (None, Some(_)) => {
            report.error(&path.key("password_file"), "a password needs a user name; set `username` as well");
        }
        _ => {}
    }
    if credentials
        .is_some_and(|(user, _)| user.split_once(':').is_some_and(|(_, password)| !password.is_empty()))
    {
        let message = "the password stands in this file for everybody who may read it; put it alone into a file \
                       of its own, and name that in `password_file`, the user in `username`";
        report.warning(&path.key("source"), message);
    }
}

/// Whether a source is an address, and not of a file.
fn is_stream(source: &str) -> bool {
    source.split_once("://").is_some_and(|(scheme, _)| !scheme.is_empty() && scheme != "file")
}
