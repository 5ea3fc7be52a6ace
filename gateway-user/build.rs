//! Builds the eBPF object (package gateway-ebpf) for `bpfel-unknown-none`, for `dataplane::object` to embed.
//!
//! It has a target folder of its own, so that the two cargo processes do not wait for each other's lock and so
//! that debug, release, clippy and rust-analyzer runs share one build of the object.

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const LINKER_VERSION: &str = "0.10.4";
const TARGET: &str = "bpfel-unknown-none";
const OBJECT: &str = "weir-ebpf";

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..").canonicalize()?;
    for input in ["gateway-ebpf", "gateway-common", "Cargo.toml"] {
        println!("cargo:rerun-if-changed={}", root.join(input).display());
    }
    for variable in ["WEIR_CACHE", "XDG_CACHE_HOME"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let built = build(&root, &target_dir(&out), &find_linker()?)?;
    fs::copy(&built, out.join(OBJECT))?;
    Ok(())
}

/// `<target>/ebpf`, beside `<target>/debug` and `<target>/release`; inside `OUT_DIR` should cargo's layout change.
fn target_dir(out: &Path) -> PathBuf {
    let profile = out.ancestors().find(|folder| folder.ends_with("build")).and_then(Path::parent);
    profile.and_then(Path::parent).unwrap_or(out).join("ebpf")
}

/// bpf-linker of the pinned version from the cache folder, else any on PATH.
fn find_linker() -> Result<PathBuf, Box<dyn Error>> {
    let cached = cache_dir().map(|cache| cache.join(format!("bpf-linker-{LINKER_VERSION}/bin/bpf-linker")));
    if let Some(linker) = cached.filter(|linker| linker.is_file()) {
        return Ok(linker);
    }
    println!("cargo:rerun-if-env-changed=PATH");
    let mut on_path = env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("bpf-linker"))
        .collect::<Vec<_>>()
        .into_iter();
    on_path.find(|linker| linker.is_file()).ok_or_else(|| {
        format!("bpf-linker {LINKER_VERSION} is neither in Weir's cache folder nor on PATH: run `cargo xtask setup`")
            .into()
    })
}

fn cache_dir() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    set("WEIR_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("weir")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/weir")))
}

/// Runs cargo; returns the path of the object.
fn build(root: &Path, target_dir: &Path, linker: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH")?;
    let flags = [
        format!("--cfg=bpf_target_arch=\"{architecture}\""),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("-Clinker={}", linker.display()),
    ];
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root)
        .args(["build", "--package", "gateway-ebpf", "--release", "--target", TARGET])
        .args(["-Z", "build-std=core", "--target-dir"])
        .arg(target_dir)
        // Unstable flags on the stable toolchain: there is no prebuilt `core` for this target.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    // What the outer cargo, clippy or rust-analyzer set for host code does not fit the object.
    for name in ["RUSTC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET", "CARGO_MAKEFLAGS"]
    {
        cargo.env_remove(name);
    }
    let output = cargo.output().map_err(|error| format!("cannot run {cargo:?}: {error}"))?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the eBPF object does not build:\n{messages}").into());
    }
    for warning in String::from_utf8_lossy(&output.stderr).lines().filter(|line| line.starts_with("warning"))
    {
        println!("cargo:warning=gateway-ebpf: {warning}");
    }
    Ok(target_dir.join(TARGET).join("release").join(OBJECT))
}
