//! Who is who: certificates by openssl, a token for each component, and kubeconfigs with them.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, Result};

use super::plan::{Host, Plan};
use crate::exec::{command, read};

/// Days for which certificates are valid: longer than any cluster lives.
const DAYS: &str = "365";

/// Makes folder `pki`, the file of tokens, and folder `kubeconfig`.
pub fn make(plan: &Plan) -> Result<()> {
    let dir = plan.dir()?;
    let pki = dir.join("pki");
    private_folder(&pki)?;
    private_folder(&dir.join("kubeconfig"))?;
    make_certificates(plan, &pki)?;
    let mut tokens = String::new();
    for (file, user, group) in users(plan) {
        let token = random_token()?;
        writeln!(tokens, "{token},{user},{user},\"{group}\"")?;
        write_private(&dir.join("kubeconfig").join(file), &kubeconfig(plan, &dir, &user, &token))?;
    }
    write_private(&pki.join("tokens.csv"), &tokens)
}

/// Name of the kubeconfig, user, group: identities as kubeadm and kubelets have them, so that the rules of RBAC, of
/// `NodeRestriction` and of admission policies apply as elsewhere.
fn users(plan: &Plan) -> Vec<(String, String, String)> {
    let system = ["kube-controller-manager", "kube-scheduler", "kube-proxy"];
    let components =
        system.map(|name| (name.to_owned(), format!("system:{name}"), "system:authenticated".to_owned()));
    let admin = ("admin".to_owned(), "admin".to_owned(), "system:masters".to_owned());
    let nodes = plan
        .nodes()
        .map(|node| (format!("node-{node}"), format!("system:node:{node}"), "system:nodes".to_owned()));
    std::iter::once(admin).chain(components).chain(nodes).collect()
}

/// A CA, the API server's certificate, its identity towards kubelets, and the key of service accounts.
fn make_certificates(plan: &Plan, pki: &Path) -> Result<()> {
    let usage = "keyUsage=critical,keyCertSign,cRLSign,digitalSignature";
    openssl(pki, "ca", "/CN=weir-cluster", &[usage, "basicConstraints=critical,CA:true"], false)?;
    let names = "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,\
                 DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:10.96.0.1,IP:fd00:96::1";
    let (v4, v6) = (plan.v4(Host::CONTROL), plan.v6(Host::CONTROL));
    let names = format!("subjectAltName={names},IP:{v4},IP:{v6}");
    openssl(pki, "apiserver", "/CN=kube-apiserver", &[&names, "extendedKeyUsage=serverAuth"], true)?;
    let kubelets = "/O=system:masters/CN=kube-apiserver-kubelet-client";
    openssl(pki, "kubelet-client", kubelets, &["extendedKeyUsage=clientAuth"], true)?;
    let mut key = command("openssl");
    // In the format of SEC 1, which the API server reads.
    key.args(["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out"]);
    read(key.arg(pki.join("accounts.key"))).map(drop)
}

fn openssl(pki: &Path, name: &str, subject: &str, extensions: &[&str], signed: bool) -> Result<()> {
    let file = |name: &str, kind: &str| pki.join(format!("{name}.{kind}"));
    let mut openssl = command("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    openssl.args(["-days", DAYS, "-subj", subject]);
    for extension in extensions {
        openssl.args(["-addext", extension]);
    }
    if signed {
        // What `req -x509` makes is an authority unless it is told otherwise, and strict clients refuse it as a server.
        openssl.args(["-addext", "basicConstraints=critical,CA:false"]);
        openssl.arg("-CA").arg(file("ca", "crt")).arg("-CAkey").arg(file("ca", "key"));
    }
    openssl.arg("-keyout").arg(file(name, "key")).arg("-out").arg(file(name, "crt"));
    read(&mut openssl).map(drop)
}

fn kubeconfig(plan: &Plan, dir: &Path, user: &str, token: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {name}\nclusters:\n- name: {name}\n  cluster:\n    server: {api}\n    \
         certificate-authority: {ca}\nusers:\n- name: {user}\n  user:\n    token: {token}\ncontexts:\n- name: {name}\n  \
         context:\n    cluster: {name}\n    user: {user}\n",
        name = plan.name,
        api = plan.api(),
        ca = dir.join("pki/ca.crt").display(),
    )
}

/// 122 random bits.
fn random_token() -> Result<String> {
    let source = "/proc/sys/kernel/random/uuid";
    let uuid = fs::read_to_string(source).with_context(|| format!("reading {source}"))?;
    Ok(uuid.trim().to_owned())
}

fn private_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("making {}", path.display()))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o700))?)
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("writing {}", path.display()))
}
