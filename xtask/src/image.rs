//! `cargo xtask image`: images without Docker. A tar with one layer: a binary at the root and the shared libraries that
//! it needs, the same bytes every time. It is an OCI layout and what `docker save` writes at once, so that `ctr images
//! import`, `docker load`, `podman load` and skopeo take it.

mod archive;

use std::{
    collections::BTreeSet,
    env::consts::ARCH,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    build::{self, Profile},
    exec::{command, feed, read, root},
    setup,
};
use archive::Archive;

/// Name of the image that holds a pod's namespaces.
pub const PAUSE: &str = "weir.dev/pause:1";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Arguments of `cargo xtask image`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where it goes; target/image/BIN.tar where nothing is said
    #[arg(long)]
    out: Option<PathBuf>,
    /// Quick to build instead of quick to run
    #[arg(long)]
    dev: bool,
    /// Package that the binary is of
    #[arg(long, default_value = "gateway-user")]
    package: String,
    /// The binary
    #[arg(long, default_value = "weir")]
    bin: String,
    /// Pack this file instead of building one
    #[arg(long, conflicts_with_all = ["dev", "package", "bin"])]
    binary: Option<PathBuf>,
    /// Names of the image; `weir.dev/BIN:VERSION` and `weir.dev/BIN:dev` where nothing is said
    #[arg(long)]
    name: Vec<String>,
}

/// Builds the binary and packs it.
pub fn command_line(args: &Args) -> Result<()> {
    let binary = if let Some(binary) = &args.binary { binary.clone() } else { build(args)? };
    let bin = file_name(&binary)?;
    let usual = || root().join(format!("target/image/{bin}.tar"));
    let out = args.out.clone().unwrap_or_else(usual);
    let tags = [env!("CARGO_PKG_VERSION"), "dev"].map(|tag| format!("weir.dev/{bin}:{tag}"));
    let names = if args.name.is_empty() { tags.to_vec() } else { args.name.clone() };
    pack(&names, &binary, &out)?;
    eprintln!("weir: {} is {}", out.display(), names.join(", "));
    Ok(())
}

fn build(args: &Args) -> Result<PathBuf> {
    setup::to_build()?;
    let profile = if args.dev { Profile::Dev } else { Profile::Release };
    let binary = build::build(&args.package, &args.bin, profile)?;
    if args.dev { Ok(binary) } else { strip(&binary) }
}

/// A copy of `binary` without the names of lines, which are most of it: what a panic says has its line all the same.
///
/// # Errors
/// Where binutils is missing, or the copy cannot be written.
pub fn strip(binary: &Path) -> Result<PathBuf> {
    let folder = binary.with_file_name("stripped");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let copy = folder.join(file_name(binary)?);
    read(command("strip").arg("--strip-debug").arg("-o").args([&copy, binary]))
        .context("stripping (binutils has the program)")?;
    Ok(copy)
}

/// Packs `binary` as an image called `names` whose entry point it is, into the file `out`.
///
/// # Errors
/// Where it or one of its libraries cannot be read, or the file cannot be written.
pub fn pack(names: &[String], binary: &Path, out: &Path) -> Result<()> {
    ensure!(
        names.iter().all(|name| name.contains(':')),
        "{}: images need a tag, `NAME:TAG`",
        names.join(", ")
    );
    if let Some(dir) = out.parent() {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    }
    let [layer, part] = ["layer", "part"].map(|suffix| out.with_added_extension(suffix));
    let packed = write_layer(binary, &layer).and_then(|()| write_image(names, binary, &layer, &part));
    let packed = packed.and_then(|()| Ok(fs::rename(&part, out)?));
    // Parts of it, whether it worked or not.
    for part in [layer, part] {
        fs::remove_file(part).ok();
    }
    packed.with_context(|| format!("packing {} as {}", binary.display(), out.display()))
}

/// The file system: the binary at the root, and each library where the binary looks for it.
fn write_layer(binary: &Path, layer: &Path) -> Result<()> {
    let mut files = vec![(file_name(binary)?, binary.to_owned())];
    for library in libraries(binary)? {
        let place = library.strip_prefix("/").unwrap_or(&library).display().to_string();
        files.push((place, library));
    }
    files.sort();
    let ancestors = files.iter().flat_map(|(place, _)| Path::new(place).ancestors().skip(1));
    let folders: BTreeSet<_> = ancestors.filter(|path| !path.as_os_str().is_empty()).collect();
    let mut archive = Archive::new(io::BufWriter::new(File::create(layer)?));
    for folder in folders {
        archive.folder(&folder.display().to_string())?;
    }
    for (place, source) in &files {
        let file = File::open(source).with_context(|| format!("opening {}", source.display()))?;
        let size = file.metadata()?.len();
        archive.file(place, 0o755, size, file)?;
    }
    archive.finish()
}

fn write_image(names: &[String], binary: &Path, layer: &Path, out: &Path) -> Result<()> {
    let digest = read(command("sha256sum").arg(layer))?;
    let digest = digest.split_whitespace().next().context("sha256sum says nothing")?.to_owned();
    let config = config(&file_name(binary)?, &digest).to_string();
    let config_digest = sha256(&config)?;
    let size = fs::metadata(layer)?.len();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "digest": format!("sha256:{config_digest}"), "size": config.len() },
        "layers": [{ "mediaType": LAYER, "digest": format!("sha256:{digest}"), "size": size }],
    })
    .to_string();
    let manifest_digest = sha256(&manifest)?;
    let docker = json!([{
        "Config": blob(&config_digest),
        "RepoTags": names,
        "Layers": [blob(&digest)],
    }])
    .to_string();
    let texts = [
        (blob(&config_digest), config),
        (blob(&manifest_digest), manifest.clone()),
        ("index.json".to_owned(), index(names, &manifest_digest, manifest.len()).to_string()),
        ("manifest.json".to_owned(), docker),
        ("oci-layout".to_owned(), json!({ "imageLayoutVersion": "1.0.0" }).to_string()),
    ];
    let mut archive = Archive::new(io::BufWriter::new(File::create(out)?));
    archive.folder("blobs")?;
    archive.folder("blobs/sha256")?;
    archive.file(&blob(&digest), 0o644, size, File::open(layer)?)?;
    for (place, text) in &texts {
        archive.file(place, 0o644, text.len() as u64, text.as_bytes())?;
    }
    archive.finish()
}

fn config(entry_point: &str, layer: &str) -> Value {
    json!({
        "architecture": architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Entrypoint": [format!("/{entry_point}")],
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": entry_point,
                "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                "org.opencontainers.image.licenses": "Apache-2.0",
                "org.opencontainers.image.vendor": "Weir",
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
    })
}

fn index(names: &[String], digest: &str, size: usize) -> Value {
    let manifests = names.iter().map(|name| {
        let tag = name.rsplit(':').next().unwrap_or_default();
        json!({
            "mediaType": MANIFEST,
            "digest": format!("sha256:{digest}"),
            "size": size,
            "platform": { "architecture": architecture(), "os": "linux" },
            "annotations": { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag },
        })
    });
    json!({ "schemaVersion": 2, "manifests": manifests.collect::<Vec<_>>() })
}

/// What images call this machine's architecture.
fn architecture() -> &'static str {
    match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn blob(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

fn sha256(text: &str) -> Result<String> {
    let said = feed(&mut command("sha256sum"), text)?;
    Ok(said.split_whitespace().next().context("sha256sum says nothing")?.to_owned())
}

/// The libraries that the dynamic linker would load, and itself; none for a static binary.
fn libraries(binary: &Path) -> Result<Vec<PathBuf>> {
    let mut interpreter = [0; 4];
    File::open(binary)?.read_exact(&mut interpreter)?;
    ensure!(interpreter == *b"\x7fELF", "{} is no program for Linux", binary.display());
    // It fails for a static one, with words of its own.
    let said = read(command("ldd").arg(binary)).unwrap_or_default();
    ensure!(!said.contains("not found"), "libraries of {} are missing:\n{said}", binary.display());
    Ok(paths(&said))
}

/// The paths that `ldd` names: `libc.so.6 => /lib/… (0x…)`, `/lib64/ld-linux… (0x…)`.
fn paths(said: &str) -> Vec<PathBuf> {
    let paths = said.lines().filter_map(|line| {
        let line = line.split_once("=>").map_or(line, |(_, path)| path);
        line.split_whitespace().next().filter(|path| path.starts_with('/')).map(PathBuf::from)
    });
    paths.collect()
}

fn file_name(path: &Path) -> Result<String> {
    let name = path.file_name().with_context(|| format!("{} is no file", path.display()))?;
    Ok(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_those_with_a_path() {
        let said = "\tlinux-vdso.so.1 (0x1)\n\tlibm.so.6 => /lib/x/libm.so.6 (0x2)\n\t/lib64/ld.so.2 (0x3)\n";
        assert_eq!(paths(said), ["/lib/x/libm.so.6", "/lib64/ld.so.2"].map(PathBuf::from));
        assert_eq!(paths("\tstatically linked\n"), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_same_binary_gives_the_same_bytes() {
        let dir = std::env::temp_dir().join(format!("weir-image-{}", std::process::id()));
        let binary = std::env::current_exe().unwrap();
        let files = ["one.tar", "two.tar"].map(|name| dir.join(name));
        for file in &files {
            pack(&["weir.dev/x:1".to_owned()], &binary, file).unwrap();
        }
        let [one, two] = files.map(|file| fs::read(file).unwrap());
        let left = fs::read_dir(&dir).unwrap().count();
        fs::remove_dir_all(&dir).unwrap();
        assert!(one == two);
        assert_eq!(left, 2, "parts of them are removed");
    }
}
