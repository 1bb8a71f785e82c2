//! Which kernels the runtimes use on this processor, for the log at start-up: an int8 pack that falls back to a generic
//! kernel is slower by an order of magnitude, and that must be seen.

use rten_gemm::GemmExecutor;

/// The kernels that rten multiplies matrices with here, by its own names: `int8 by aarch64-u8i8i32-dotprod, f32 by
/// aarch64-f32-neon`.
pub fn products() -> String {
    let (int8, f32) = (GemmExecutor::<u8, i8, i32>::default(), GemmExecutor::<f32>::default());
    format!("int8 by {}, f32 by {}", int8.kernel_name(), f32.kernel_name())
}

/// What the kernels will use, best first: `avx512 + vnni`, `neon + i8mm + dotprod`, ..
pub fn instructions() -> String {
    let found: Vec<&str> = detected().into_iter().filter_map(|(name, has)| has.then_some(name)).collect();
    if found.is_empty() { "no vector instructions".into() } else { found.join(" + ") }
}

#[cfg(target_arch = "x86_64")]
fn detected() -> [(&'static str, bool); 3] {
    use std::arch::is_x86_feature_detected as has;
    let avx512 = has!("avx512f") && has!("avx512vl") && has!("avx512bw") && has!("avx512dq");
    let avx2 = has!("avx2") && has!("fma");
    [("avx512", avx512), ("avx2", avx2 && !avx512), ("vnni", has!("avx512vnni"))]
}

#[cfg(target_arch = "aarch64")]
fn detected() -> [(&'static str, bool); 3] {
    use std::arch::is_aarch64_feature_detected as has;
    [("neon", has!("neon")), ("i8mm", has!("i8mm")), ("dotprod", has!("dotprod"))]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detected() -> [(&'static str, bool); 0] {
    []
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_computed_by_kernels_for_this_processor() {
        let instructions = instructions();
        if ["avx512", "avx2", "neon"].iter().any(|needed| instructions.contains(needed)) {
            let here = format!("int8 by {0}-u8i8i32-", std::env::consts::ARCH);
            assert!(products().starts_with(&here), "{} on {instructions}", products());
        }
        if instructions.contains("i8mm") {
            assert!(products().contains("-i8mm"));
        } else if instructions.contains("dotprod") {
            assert!(products().contains("-dotprod"));
        }
    }
}
