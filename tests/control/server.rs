//! An API server of its own for each test, with Weir's definitions and roles installed.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gateway_tests::{agent::weir, command::Folder, wait_until};
use serde_json::Value;

const READY: Duration = Duration::from_mins(1);

/// etcd and kube-apiserver, and whatever else is started. All of it ends with this.
pub struct Server {
    folder: Folder,
    port: u16,
    etcd: u16,
    api: Option<Child>,
    children: Vec<(String, Child)>,
    _alone: MutexGuard<'static, ()>,
}

/// One at a time.
static ALONE: Mutex<()> = Mutex::new(());

impl Server {
    /// Starts one, and installs Weir's definitions and roles.
    pub fn start() -> Self {
        // Each takes a core while it starts.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let port = free_port();
        let mut server = Self {
            folder: Folder::new(&format!("control-{port}")),
            port,
            etcd: free_port(),
            api: None,
            children: Vec::new(),
            _alone: alone,
        };
        server.write("tokens", "admin,admin,admin,system:masters\n");
        server.write("kubeconfig", &server.kubeconfig_for("admin"));
        let key = server.path("key");
        run(Command::new("openssl").args(["genrsa", "-out"]).arg(&key));
        server.start_etcd();
        server.start_api();
        server.install();
        server
    }

    fn start_etcd(&mut self) {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let (client, peer) = (url(self.etcd), url(free_port()));
        let mut etcd = Command::new("etcd");
        etcd.arg("--data-dir").arg(self.path("etcd")).arg("--unsafe-no-fsync");
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.args(["--initial-cluster", &format!("default={peer}")]);
        self.spawn("etcd", etcd);
    }

    /// Starts the API server, for the first time or again.
    pub fn start_api(&mut self) {
        let key = self.path("key").display().to_string();
        let mut api = Command::new(kube());
        api.args(["kube-apiserver", "--etcd-servers", &format!("http://127.0.0.1:{}", self.etcd)]);
        api.args(["--secure-port", &self.port.to_string(), "--bind-address", "127.0.0.1"]);
        api.arg("--cert-dir").arg(self.path("pki")).arg("--token-auth-file").arg(self.path("tokens"));
        api.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
        api.args(["--service-account-key-file", &key, "--service-account-signing-key-file", &key]);
        api.args(["--service-cluster-ip-range", "10.96.0.0/16,fd96::/112"]);
        api.args(["--authorization-mode", "Node,RBAC", "--allow-privileged"]);
        let name = "kube-apiserver";
        self.api = Some(started(name, &mut api, &self.path(&format!("{name}.log"))));
        wait_until(READY, "the API server is ready", || self.ask(&["get", "--raw", "/readyz"]).is_ok());
    }

    /// Ends the API server.
    pub fn stop_api(&mut self) {
        stop(&mut self.api.take().expect("it runs"));
    }

    fn install(&self) {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
        let path = |name: &str| deploy.join(name).display().to_string();
        self.kubectl(&["apply", "--server-side", "-k", &path("crd")]);
        self.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]);
        self.kubectl(&["create", "namespace", "weir-system"]);
        for part in ["controller-rbac.yaml", "agent-rbac.yaml", "own-node-only.yaml"] {
            self.kubectl(&["apply", "-n", "weir-system", "-f", &path(&format!("base/{part}"))]);
        }
    }

    /// How the agent of a node reaches it.
    pub fn agent_kubeconfig(&self, node: &str) -> String {
        let bound = ["--bound-object-kind", "Node", "--bound-object-name", node];
        let create = ["create", "token", "-n", "weir-system", "weir-agent"];
        let token = self.kubectl(&[&create[..], &bound[..]].concat());
        self.kubeconfig_for(token.trim())
    }

    /// Runs kubectl as the agent of a node; fails with what it says.
    pub fn ask_as_agent(&self, node: &str, arguments: &[&str]) -> Result<String, String> {
        let kubeconfig = format!("kubeconfig-agent-{node}");
        self.write(&kubeconfig, &self.agent_kubeconfig(node));
        let mut command = Command::new(kube());
        command.arg("kubectl").arg("--kubeconfig").arg(self.path(&kubeconfig));
        text_of(&command.args(arguments).output().unwrap())
    }

    /// Starts a controller that is called so, with the rights of the shipped roles.
    pub fn start_controller(&mut self, name: &str) {
        let token = self.kubectl(&["create", "token", "-n", "weir-system", "weir-controller"]);
        let kubeconfig = format!("kubeconfig-{name}");
        self.write(&kubeconfig, &self.kubeconfig_for(token.trim()));
        let mut controller = Command::new(weir().unwrap());
        controller.args(["controller", "--system-namespace", "weir-system", "--identity", name]);
        controller.args([
            "--metrics",
            &format!("127.0.0.1:{}", free_port()),
            "--log",
            "info,kube_client=off",
        ]);
        controller.args(["--route-ttl", "5s"]).env("KUBECONFIG", self.path(&kubeconfig));
        self.spawn(name, controller);
    }

    /// Ends what was started under this name, without a word to it.
    pub fn kill(&mut self, name: &str) {
        let at = self.children.iter().position(|(known, _)| known == name).expect("it was started");
        stop(&mut self.children.remove(at).1);
    }

    /// What was logged under this name.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap()
    }

    /// Runs kubectl as administrator; gives what it prints.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.ask(arguments).unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" ")))
    }

    /// The same; fails with what it says.
    pub fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.command().args(arguments).output().unwrap();
        text_of(&output)
    }

    /// Applies objects.
    #[track_caller]
    pub fn apply(&self, objects: &str) {
        if let Err(error) = self.try_apply(objects) {
            panic!("{error}\n{objects}");
        }
    }

    /// The same; fails with what kubectl says.
    pub fn try_apply(&self, objects: &str) -> Result<String, String> {
        let mut command = self.command();
        command.args(["apply", "--server-side", "-f", "-"]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(objects.as_bytes()).unwrap();
        text_of(&child.wait_with_output().unwrap())
    }

    /// An object as JSON; null where there is none.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Value {
        let found = self.ask(&["get", kind, "-n", namespace, name, "-o", "json"]);
        found.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(kube());
        command.arg("kubectl").arg("--kubeconfig").arg(self.path("kubeconfig"));
        command
    }

    fn kubeconfig_for(&self, token: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, \
             user: u}}}}], clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{}', \
             insecure-skip-tls-verify: true}}}}], users: [{{name: u, user: {{token: '{token}'}}}}]}}",
            self.port
        )
    }

    fn spawn(&mut self, name: &str, mut command: Command) {
        let child = started(name, &mut command, &self.path(&format!("{name}.log")));
        self.children.push((name.to_owned(), child));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (name, _) in self.children.iter().filter(|(name, _)| name != "etcd") {
                let log = fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
                let told: Vec<&str> = log.lines().filter(|line| !line.contains("bypassed")).collect();
                eprintln!("--- {name}\n{}", told.join("\n"));
            }
        }
        // The last to come goes first.
        for (_, child) in self.children.iter_mut().rev().filter(|(name, _)| name != "etcd") {
            stop(child);
        }
        self.api.iter_mut().for_each(stop);
        self.children.iter_mut().for_each(|(_, child)| stop(child));
    }
}

fn kube() -> OsString {
    env::var_os("WEIR_KUBE").expect(
        "WEIR_KUBE is to name the binary of Kubernetes: run `cargo xtask test`, which builds and names it",
    )
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn started(name: &str, command: &mut Command, log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{name} cannot be run ({error}): `cargo xtask setup` installs it"))
}

fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text_of(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
