//! How often properties are tried.

use proptest::prelude::ProptestConfig;

/// Says how many times more cases than usual are tried; `cargo xtask test --all` sets it.
const FACTOR: &str = "WEIR_PROPTEST_FACTOR";

/// This many cases, or as many times more as the environment says.
pub(crate) fn cases(count: u32) -> ProptestConfig {
    let factor = std::env::var(FACTOR).ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    ProptestConfig::with_cases(count.saturating_mul(factor))
}
