//! Commands that need neither an agent nor a cluster.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, Subcommand};
use clap_complete::Shell;
use gateway_model::gateway::PortType;

use super::{ClusterArgs, DEFAULT_NAMESPACE, OutputArgs, parse_address};

const EXPLAIN_EXAMPLE: &str = "Example: weir explain --config g.yaml --workloads w.yaml \
     'GET http://foo.bar.com/x' -H 'User-Agent: Firefox'";

/// A command about files.
#[derive(Debug, Subcommand)]
pub enum Offline {
    /// Say what is wrong with gateway artifacts, all of it; exits with 1 where something is
    ///
    /// Example: weir check gateways.yaml
    Check {
        /// Gateway artifacts (YAML or JSON): files, folders, or - for standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Workloads, for what only shows beside them: a file or a folder; may be repeated
        #[arg(long, value_name = "PATH")]
        workloads: Vec<PathBuf>,
        /// Exit with 1 where there are warnings as well
        #[arg(long)]
        deny_warnings: bool,
        #[command(flatten)]
        namespace: NamespaceArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show which routes and endpoints a selector finds, and why others are none
    ///
    /// Among workloads of files, or else among the pods of the cluster.
    ///
    /// Example: weir select 'label(app)(foo) && label(version)((.*))' --workloads workloads.yaml
    Select {
        /// The selector
        #[arg(value_name = "EXPR")]
        selector: String,
        /// Workloads (YAML or JSON list): a file or a folder; may be repeated
        #[arg(long, value_name = "PATH")]
        workloads: Vec<PathBuf>,
        /// Type of the gateway's port, after which an endpoint's port is chosen: http, https, tcp, udp or tls
        #[arg(long = "type", value_name = "TYPE", default_value = "http")]
        kind: PortType,
        /// Namespace [default: the kubeconfig's, or `default`]
        #[arg(short, long, value_name = "NAMESPACE")]
        namespace: Option<String>,
        #[command(flatten)]
        cluster: ClusterArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show which route takes a request, and why; exits with 1 where none does
    ///
    /// By the gateways of files, or else by those of the cluster.
    #[command(after_help = EXPLAIN_EXAMPLE)]
    Explain {
        #[command(flatten)]
        files: FileArgs,
        /// Method and URL; GET where only a URL is given
        #[arg(required = true, num_args = 1..=2, value_name = "[METHOD] URL")]
        request: Vec<String>,
        /// A header field, as in 'X-Group: testers'; may be repeated
        #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
        headers: Vec<String>,
        /// The client's address
        #[arg(long, value_name = "IP", default_value = "192.0.2.1", value_parser = parse_address)]
        from: IpAddr,
        /// The TLS server name [default: the URL's host where its scheme is https]
        #[arg(long, value_name = "NAME")]
        sni: Option<String>,
        /// The user, where a gateway is sticky: any text that tells him from others; goes before what the request says
        #[arg(long, value_name = "KEY")]
        user: Option<String>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show what would be in force, and what would change: shares, slots, users that move
    ///
    /// With gateways of files, or else with those of the cluster.
    ///
    /// Example: weir plan --config new.yaml --workloads w.yaml --against old.yaml
    Plan {
        #[command(flatten)]
        files: FileArgs,
        /// What is in force before: gateway artifacts, files or folders [default: nothing]
        #[arg(long, value_name = "OLD")]
        against: Vec<PathBuf>,
        /// The workloads before [default: the same]
        #[arg(long, value_name = "PATH", requires = "against")]
        against_workloads: Vec<PathBuf>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Write gateway artifacts in normal form, comments kept; to standard output where nothing else is said
    Fmt {
        /// Files, folders, or - for standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Write the files in place, and name those that changed
        #[arg(short, long, conflicts_with = "check")]
        write: bool,
        /// Write nothing; name the files that are not in normal form, and exit with 1 if there are any
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print the JSON Schema of gateway artifacts, for editors
    Schema {
        /// The definitions of the custom resources instead, for `kubectl apply`
        #[arg(long)]
        crds: bool,
    },
    /// Print completions for a shell
    ///
    /// Example: source <(weir completion bash)
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Write the manual: a page for each command
    Man {
        /// The folder that the pages go to
        dir: PathBuf,
    },
}

/// Which files, or which cluster.
#[derive(Args, Clone, Debug)]
pub struct FileArgs {
    /// Gateway artifacts (YAML or JSON): a file or a folder; may be repeated [default: those of the cluster]
    #[arg(long, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// Workloads (YAML or JSON list): a file or a folder; may be repeated
    #[arg(long, value_name = "PATH", requires = "config")]
    pub workloads: Vec<PathBuf>,
    /// Namespace of what names none; of the cluster only what is in it
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl FileArgs {
    /// The namespace of what names none in files.
    pub(in crate::cli) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE)
    }
}

/// Which namespace.
#[derive(Args, Clone, Debug)]
pub struct NamespaceArgs {
    /// Namespace of what names none
    #[arg(short, long, value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    pub namespace: String,
}
