//! The application under test, `weir-app`, as Kubernetes runs it.

use serde_json::{Value, json};

/// Image of the application, as `cargo xtask image --package gateway-tests --bin weir-app` names it.
pub const IMAGE: &str = "weir.dev/weir-app:dev";

/// A Deployment of one version: pods labelled `app` and `version` that serve http on 8080, tcp on 9000, udp on 9001.
#[derive(Clone, Copy, Debug)]
pub struct App<'a> {
    /// Where it runs.
    pub namespace: &'a str,
    /// Label `app`.
    pub app: &'a str,
    /// Label `version`.
    pub version: &'a str,
    /// How many pods.
    pub replicas: u32,
}

impl App<'_> {
    /// The Deployment's name: `foo-1.0.3`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.app, self.version)
    }

    /// The same, as kubectl names it: `deployment/foo-1.0.3`.
    pub fn reference(&self) -> String {
        format!("deployment/{}", self.name())
    }

    /// The Deployment.
    pub fn deployment(&self) -> Value {
        let labels = json!({ "app": self.app, "version": self.version });
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "namespace": self.namespace, "name": self.name(), "labels": labels },
            "spec": {
                "replicas": self.replicas,
                "selector": { "matchLabels": labels },
                // No version is ever without a pod while it is rolled.
                "strategy": { "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": pod_spec(&["serve"], Some(self.version)),
                },
            },
        })
    }
}

/// A namespace whose pods are restricted, as those of careful users are.
pub fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } },
    })
}

/// A pod that runs `weir-app load` with these arguments.
pub fn load_pod(namespace: &str, name: &str, node: Option<&str>, arguments: &[&str]) -> Value {
    let arguments: Vec<_> = std::iter::once("load").chain(arguments.iter().copied()).collect();
    let mut spec = pod_spec(&arguments, None);
    spec["restartPolicy"] = json!("Never");
    if let Some(node) = node {
        spec["nodeSelector"] = json!({ "kubernetes.io/hostname": node });
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "namespace": namespace, "name": name, "labels": { "app": name } },
        "spec": spec,
    })
}

fn pod_spec(arguments: &[&str], version: Option<&str>) -> Value {
    let of_field = |path: &str| json!({ "fieldRef": { "fieldPath": path } });
    let mut container = json!({
        "name": "app",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": arguments,
        "env": [
            { "name": "VERSION", "value": version.unwrap_or_default() },
            { "name": "POD_NAME", "valueFrom": of_field("metadata.name") },
            { "name": "POD_NAMESPACE", "valueFrom": of_field("metadata.namespace") },
            { "name": "NODE_NAME", "valueFrom": of_field("spec.nodeName") },
        ],
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
    });
    if version.is_some() {
        container["ports"] = json!([
            { "name": "http", "containerPort": 8080 },
            { "name": "tcp", "containerPort": 9000 },
            { "name": "udp", "containerPort": 9001, "protocol": "UDP" },
        ]);
        container["readinessProbe"] = json!({ "httpGet": { "path": "/ready", "port": "http" }, "periodSeconds": 1, "timeoutSeconds": 5 });
    }
    json!({
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [container],
    })
}
