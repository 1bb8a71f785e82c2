//! Which board this is, and which chip is on it.

use super::Tree;

/// What a machine says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// `Radxa ROCK 5B`, or a PC's vendor and product.
    pub model: Option<String>,
    /// The chip as the device tree calls it, `rockchip,rk3588`; none on a PC.
    pub chip: Option<String>,
    pub soc: Soc,
}

/// The chips that there are engines or advice for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Soc {
    Rk3588,
    Rk3576,
    /// Also RK3568 and RK3566, which run the same models.
    Rk3568,
    Rk3562,
    /// A Jetson.
    Tegra,
    /// A Raspberry Pi.
    Broadcom,
    #[default]
    Other,
}

impl Soc {
    /// The key of a pack's `files` for this chip's NPU, if it has one that Rockchip's runtime drives; rk3566 takes
    /// rk3568's files too.
    pub fn npu(self) -> Option<&'static str> {
        match self {
            Self::Rk3588 => Some("rk3588"),
            Self::Rk3576 => Some("rk3576"),
            Self::Rk3568 => Some("rk3568"),
            Self::Rk3562 => Some("rk3562"),
            Self::Tegra | Self::Broadcom | Self::Other => None,
        }
    }

    /// Cores of its NPU.
    pub fn npu_cores(self) -> usize {
        match self {
            Self::Rk3588 => 3,
            Self::Rk3576 => 2,
            Self::Rk3568 | Self::Rk3562 => 1,
            Self::Tegra | Self::Broadcom | Self::Other => 0,
        }
    }

    fn of(compatible: &str) -> Option<Self> {
        let (vendor, chip) = compatible.split_once(',')?;
        match vendor {
            "rockchip" if chip.starts_with("rk3588") || chip.starts_with("rk3582") => Some(Self::Rk3588),
            "rockchip" if chip.starts_with("rk3576") => Some(Self::Rk3576),
            "rockchip" if chip.starts_with("rk3568") || chip.starts_with("rk3566") => Some(Self::Rk3568),
            "rockchip" if chip.starts_with("rk3562") => Some(Self::Rk3562),
            "nvidia" if chip.starts_with("tegra") => Some(Self::Tegra),
            "brcm" if chip.starts_with("bcm2") => Some(Self::Broadcom),
            _ => None,
        }
    }
}

impl Identity {
    pub fn read(tree: &Tree) -> Self {
        // From the board to the chip, NUL between them.
        let compatible = tree.text("proc/device-tree/compatible").unwrap_or_default();
        let names: Vec<&str> = compatible.split('\0').filter(|name| !name.is_empty()).collect();
        let known = names.iter().rev().find_map(|name| Some((*name, Soc::of(name)?)));
        let dmi = |file: &str| tree.text(format!("sys/class/dmi/id/{file}"));
        let pc = || Some([dmi("sys_vendor")?, dmi("product_name")?].join(" "));
        Self {
            model: tree.text("proc/device-tree/model").or_else(pc),
            chip: known.map(|(name, _)| name).or(names.last().copied()).map(str::to_owned),
            soc: known.map(|(_, soc)| soc).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::plant;
    use super::*;

    #[test]
    fn boards_are_known_by_their_device_tree() {
        let read = |model: &str, compatible: &str| {
            let (_root, tree) =
                plant(&[("proc/device-tree/model", model), ("proc/device-tree/compatible", compatible)]);
            Identity::read(&tree)
        };
        let rock = read("Radxa ROCK 5B\0", "radxa,rock-5b\0rockchip,rk3588\0");
        assert_eq!(rock.model.as_deref(), Some("Radxa ROCK 5B"));
        assert_eq!((rock.chip.as_deref(), rock.soc), (Some("rockchip,rk3588"), Soc::Rk3588));
        assert_eq!(read("x", "radxa,zero3\0rockchip,rk3566\0").soc, Soc::Rk3568);
        // NVIDIA puts older chips last, too.
        let orin = read(
            "NVIDIA Jetson Orin Nano",
            "nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0",
        );
        assert_eq!((orin.soc, orin.soc.npu()), (Soc::Tegra, None));
        assert_eq!(
            read("Raspberry Pi 5 Model B", "raspberrypi,5-model-b\0brcm,bcm2712\0").soc,
            Soc::Broadcom
        );
        let other = read("StarFive", "starfive,visionfive-2\0starfive,jh7110\0");
        assert_eq!((other.chip.as_deref(), other.soc), (Some("starfive,jh7110"), Soc::Other));
    }

    #[test]
    fn a_pc_is_known_by_its_vendor() {
        let (_root, tree) = plant(&[
            ("sys/class/dmi/id/sys_vendor", "LENOVO\n"),
            ("sys/class/dmi/id/product_name", "M90n\n"),
        ]);
        assert_eq!(
            Identity::read(&tree),
            Identity { model: Some("LENOVO M90n".into()), ..Default::default() }
        );
        let (_root, empty) = plant(&[]);
        assert_eq!(Identity::read(&empty), Identity::default());
    }
}
