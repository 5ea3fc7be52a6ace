//! libFuzzer, on the target that `WEIR_FUZZ_TARGET` names.
#![no_main]

use std::{env, sync::LazyLock};

use gateway_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = env::var("WEIR_FUZZ_TARGET").expect("WEIR_FUZZ_TARGET names a target");
    Target::named(&name).unwrap_or_else(|| panic!("there is no target `{name}`"))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET.check(input));
