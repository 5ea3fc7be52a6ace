//! Gateways as they are written, in normal form: what `weir check` shows, and what the JSON Schema for editors is
//! generated from. Reading goes another way ([`parse`](super::parse)), since all mistakes are to be found at
//! once, each with its place; a test keeps the two together.

use schemars::{JsonSchema, Schema, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Balance, Gateway, Level, Route};
use crate::{
    key::ByRoute,
    rewrite::{Rewrite, RewriteKind},
    sticky::{By, Keep, Sticky},
};

/// A gateway: a named entry point for the versions of a service.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Weir gateway")]
pub struct GatewayArtifact {
    /// Name, without white space, `[` and `]`. Names the Service too.
    #[schemars(regex(pattern = r"^[^\s\[\]]+$"))]
    pub name: String,
    /// Kind of artifact.
    #[schemars(schema_with = "kind", default = "gateways")]
    pub kind: &'static str,
    /// Port of its own: `N` or `N/http`, `N/https`, `N/tcp`, `N/udp`, `N/tls`. Default: the next free one of
    /// 40000 to 45000, type http.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "port")]
    pub port: Option<String>,
    /// Whether `port` answers on node addresses as well.
    #[schemars(default)]
    #[serde(skip_serializing_if = "is_false")]
    pub host_port: bool,
    /// Hosts that it answers on the shared ports 80 and, with `tls`, 443: exact, or `*.example.com`.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_more_texts")]
    pub virtual_hosts: Vec<String>,
    /// Finds workloads; what its capture groups capture names their routes.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = "label(app)(foo) && label(version)((.*))")]
    pub selector: Option<String>,
    /// Routes by name: `(2.0.1)` for what the selector captures, `[host:port]` for an external address, any other
    /// name for one with a `selector` of its own, or for another gateway.
    #[schemars(default)]
    #[serde(skip_serializing_if = "ByRoute::is_empty")]
    #[schemars(schema_with = "routes")]
    pub routes: ByRoute<RouteArtifact>,
    /// What a user keeps.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<StickyArtifact>,
    /// Only forwarding that keeps the client's address.
    #[schemars(default)]
    #[serde(skip_serializing_if = "is_false")]
    pub preserve_client_ip: bool,
    /// Secrets with certificates: `name` or `namespace/name`; the server name picks one.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_more_texts")]
    pub tls: Vec<String>,
    /// Where its own port is served.
    #[schemars(default)]
    #[serde(skip_serializing_if = "is_auto")]
    pub level: Level,
    /// Free data, kept.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// One version behind a gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Route")]
pub struct RouteArtifact {
    /// Share of 100 %, with up to two decimals; without: an equal part of the rest.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "percent")]
    pub weight: Option<String>,
    /// Requests that it captures.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = "User-Agent is Firefox and not Has Cookie stable")]
    pub condition: Option<String>,
    /// Share of the matching requests that it captures; default 100 % with a condition given here, else 0 %.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "percent")]
    pub condition_strength: Option<String>,
    /// Conditions with a lower one are tried first, those without one last, in the order written.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Changes to the requests that it takes; the first that matches, of a path and of a host.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "one_or_more_rewrites")]
    pub rewrites: Vec<RewriteArtifact>,
    /// How one of its endpoints is chosen; default maglev in the kernel, p2c in the proxy.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<Balance>,
    /// Finds its workloads; for a route with a plain name.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Free data, kept.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// What a user keeps, and by what he is known.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "Sticky")]
pub enum StickyArtifact {
    /// What he keeps; he is known by a cookie. `none`, as Vamp wrote it, is the default.
    Short(#[schemars(schema_with = "keep_or_none")] Keep),
    /// The same, and by what he is known.
    Long(StickyFields),
}

/// What a user keeps, and one thing that he is known by.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StickyFields {
    /// What he keeps.
    pub keep: Keep,
    /// `cookie` or `client`: the client's address.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "cookie_or_client")]
    pub by: Option<&'static str>,
    /// The header whose value tells users apart.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The claim of the bearer token that tells users apart; the token is not verified.
    #[schemars(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
}

/// One rewrite: a text of the form `NEW if CONDITION`, the condition may be left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RewriteArtifact {
    /// The whole path: `/new if Path is /old`.
    Path(String),
    /// Whole elements at its beginning: `/old to /new`.
    Prefix(String),
    /// The host.
    Host(String),
}

impl From<&Sticky> for StickyArtifact {
    fn from(sticky: &Sticky) -> Self {
        let mut fields = StickyFields { keep: sticky.keep, by: None, header: None, claim: None };
        match &sticky.by {
            By::Cookie => return Self::Short(sticky.keep),
            By::Client => fields.by = Some("client"),
            By::Header(name) => fields.header = Some(name.clone()),
            By::Claim(name) => fields.claim = Some(name.clone()),
        }
        Self::Long(fields)
    }
}

impl From<&Rewrite> for RewriteArtifact {
    fn from(rewrite: &Rewrite) -> Self {
        let text = rewrite.to_string();
        match rewrite.kind() {
            RewriteKind::Path => Self::Path(text),
            RewriteKind::Prefix => Self::Prefix(text),
            RewriteKind::Host => Self::Host(text),
        }
    }
}

impl From<&Gateway> for GatewayArtifact {
    fn from(gateway: &Gateway) -> Self {
        let routes = gateway.routes.iter().map(|route| (route.name.clone(), route.into()));
        Self {
            name: gateway.key.name.clone(),
            kind: "gateways",
            port: gateway.port.map(|port| port.to_string()),
            host_port: gateway.host_port,
            virtual_hosts: gateway.virtual_hosts.iter().map(|(host, _)| host.to_string()).collect(),
            selector: gateway.selector.as_ref().map(ToString::to_string),
            routes: ByRoute(routes.collect()),
            sticky: gateway.sticky.as_ref().map(Into::into),
            preserve_client_ip: gateway.preserve_client_ip,
            tls: gateway.tls.clone(),
            level: gateway.level,
            metadata: gateway.metadata.clone(),
        }
    }
}

impl From<&Route> for RouteArtifact {
    fn from(route: &Route) -> Self {
        Self {
            weight: route.weight.map(|weight| weight.to_string()),
            condition: route.condition.as_ref().map(ToString::to_string),
            condition_strength: route.condition_strength.map(|strength| strength.to_string()),
            priority: route.priority,
            rewrites: route.rewrites.iter().map(Into::into).collect(),
            balance: route.balance,
            selector: route.selector.as_ref().map(ToString::to_string),
            metadata: route.metadata.clone(),
        }
    }
}

/// The JSON Schema of an artifact, for editors.
pub fn schema() -> Value {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<GatewayArtifact>().to_value()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde hands over")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde hands over")]
fn is_auto(level: &Level) -> bool {
    *level == Level::Auto
}

fn kind(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["gateways", "gateway"], "default": "gateways" })
}

fn port(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65_535 },
            { "type": "string", "pattern": "^[0-9]{1,5}(/(http|https|tcp|udp|tls))?$" },
        ]
    })
}

fn percent(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r"^\s*[0-9]{1,3}(\.[0-9]+)?\s*%\s*$", "examples": ["5%", "0.05%"] })
}

fn routes(generator: &mut schemars::SchemaGenerator) -> Schema {
    let route = generator.subschema_for::<RouteArtifact>();
    json_schema!({
        "anyOf": [
            { "type": "object", "additionalProperties": { "anyOf": [route, { "type": "null" }] } },
            { "type": "array", "items": { "type": ["string", "object"] } },
            { "type": "string" },
        ]
    })
}

fn keep_or_none(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["route", "instance", "none"] })
}

fn cookie_or_client(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["cookie", "client"], "default": "cookie" })
}

fn one_or_more_texts(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
}

fn one_or_more_rewrites(_: &mut schemars::SchemaGenerator) -> Schema {
    let one = json_schema!({
        "type": "object",
        "minProperties": 1,
        "additionalProperties": false,
        "properties": {
            "path": { "type": "string", "description": "The whole path.", "examples": ["/new if Path is /old"] },
            "prefix": { "type": "string", "description": "Whole elements at its beginning.", "examples": ["/old to /new"] },
            "host": { "type": "string", "description": "The host.", "examples": ["internal.example.com"] },
        }
    });
    json_schema!({ "anyOf": [one.clone(), { "type": "array", "items": one }] })
}

fn gateways() -> &'static str {
    "gateways"
}
