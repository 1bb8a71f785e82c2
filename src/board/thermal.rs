//! Thermal zones and the temperatures at which the kernel does something about them.
//!
//! Source: the kernel's Documentation/driver-api/thermal/sysfs-api.rst.

use std::path::Path;

use super::Tree;

/// A sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// `soc-thermal`
    pub name: String,
    /// °C.
    pub celsius: f64,
    /// °C from which the kernel slows things down; none if it does not for this sensor.
    pub passive: Option<f64>,
    /// °C at which the kernel switches off.
    pub critical: Option<f64>,
}

impl Zone {
    /// Whether it is as hot as the kernel slows things down for.
    pub fn is_hot(&self) -> bool {
        self.passive.is_some_and(|passive| self.celsius >= passive)
    }
}

/// Every sensor that answers.
pub fn zones(tree: &Tree) -> Vec<Zone> {
    tree.entries("sys/class/thermal", "thermal_zone").iter().filter_map(|zone| read(tree, zone)).collect()
}

fn read(tree: &Tree, zone: &Path) -> Option<Zone> {
    let celsius = |file: String| Some(tree.number(zone.join(file))? as f64 / 1e3);
    let trip = |wanted: &str| {
        let trips = (0..16)
            .filter(|n| tree.text(zone.join(format!("trip_point_{n}_type"))).as_deref() == Some(wanted));
        // A trip point that is switched off reads 0 or less.
        trips
            .filter_map(|n| celsius(format!("trip_point_{n}_temp")).filter(|celsius| *celsius > 0.0))
            .min_by(f64::total_cmp)
    };
    Some(Zone {
        name: tree.text(zone.join("type"))?,
        celsius: celsius("temp".into())?,
        passive: trip("passive"),
        critical: trip("critical"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::plant;
    use super::*;

    #[test]
    fn zones_have_the_lowest_trip_point_of_each_kind() {
        let zone = "sys/class/thermal/thermal_zone0";
        let file = |name: &str| format!("{zone}/{name}");
        let files = [
            ("type", "soc-thermal\n"),
            ("temp", "86200\n"),
            ("trip_point_0_type", "passive"),
            ("trip_point_0_temp", "95000"),
            ("trip_point_1_type", "passive"),
            ("trip_point_1_temp", "85000"),
            ("trip_point_2_type", "critical"),
            ("trip_point_2_temp", "115000"),
            ("trip_point_3_type", "passive"),
            ("trip_point_3_temp", "0"),
        ]
        .map(|(name, text)| (file(name), text));
        let mut files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        // One whose sensor sleeps, and one without trip points.
        files.push(("sys/class/thermal/thermal_zone1/type", "gpu-thermal"));
        files.push(("sys/class/thermal/thermal_zone2/type", "board"));
        files.push(("sys/class/thermal/thermal_zone2/temp", "-5000"));
        let (_root, tree) = plant(&files);
        let zones = zones(&tree);
        let soc =
            Zone { name: "soc-thermal".into(), celsius: 86.2, passive: Some(85.0), critical: Some(115.0) };
        let board = Zone { name: "board".into(), celsius: -5.0, passive: None, critical: None };
        assert!(soc.is_hot() && !board.is_hot());
        assert_eq!(zones, [soc, board]);
    }
}
