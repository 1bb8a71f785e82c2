//! Which instructions this processor has that the runtimes' kernels use, for the log at start-up.

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
