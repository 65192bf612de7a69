//! Where manifests come from, and how each tool is told to make them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One place manifests come from: a directory of a Git repository (`path`) or a chart of a Helm
/// repository (`chart`).
///
/// At most one of `directory`, `helm`, `kustomize` and `plugin` may be written. Without any, the files
/// decide: `Chart.yaml` means Helm, `kustomization.yaml` means Kustomize, anything else is a directory
/// of manifests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSource {
    /// URL of the Git or Helm repository: `https://github.com/acme/deploy.git`,
    /// `git@github.com:acme/deploy.git`, `https://charts.example.com`, or `oci://…`.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Directory within the Git repository, relative to its root. `.` is the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What to follow. In Git a branch, tag, commit, or a range over tags such as `1.2.*`; default
    /// `HEAD`, the repository's default branch. With `chart` a chart version or range, and required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_revision: Option<String>,
    /// Name of the chart, for Helm repositories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
    /// Name of this source among several, for people and tools; unique within `sources`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Lends the files of this source to the others under `$<ref>/`, such as
    /// `valueFiles: [$values/prod.yaml]`. Letters, digits, `_` and `-`. A source with a `ref` and
    /// neither `path` nor `chart` makes no manifests of its own.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How to read a directory of plain manifests and Jsonnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<ApplicationSourceDirectory>,
    /// How to render a Helm chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm: Option<Box<ApplicationSourceHelm>>,
    /// How to build with Kustomize.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<Box<ApplicationSourceKustomize>>,
    /// How to render with a config management plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<ApplicationSourcePlugin>,
    /// Prefix of the tags that a range in `targetRevision` is matched against, such as `shop-` for tags
    /// like `shop-1.4.0`. From Argo CD 3.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_prefix: Option<String>,
}

/// What makes the manifests of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    /// Plain YAML and JSON files, and Jsonnet.
    Directory,
    /// A Helm chart, from a chart repository or from Git.
    Helm,
    /// A Kustomize overlay.
    Kustomize,
    /// A config management plugin.
    Plugin,
}

impl Tool {
    /// Returns the word that `status.sourceType` uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "Directory",
            Self::Helm => "Helm",
            Self::Kustomize => "Kustomize",
            Self::Plugin => "Plugin",
        }
    }
}

impl ApplicationSource {
    /// Returns the tool that the source itself names: by a block of options or by `chart`. `None` leaves
    /// it to the files of the source.
    #[must_use]
    pub fn tool(&self) -> Option<Tool> {
        let explicit = self.tools().first().copied();
        explicit.or_else(|| self.chart_name().map(|_| Tool::Helm))
    }

    /// Returns the tools whose blocks are written; more than one is an error of the user.
    #[must_use]
    pub fn tools(&self) -> Vec<Tool> {
        let written = [
            (Tool::Kustomize, self.kustomize.is_some()),
            (Tool::Helm, self.helm.is_some()),
            (Tool::Directory, self.directory.is_some()),
            (Tool::Plugin, self.plugin.is_some()),
        ];
        written.into_iter().filter_map(|(tool, is_written)| is_written.then_some(tool)).collect()
    }

    /// Returns the chart where one is named: the source is a Helm repository then, not Git.
    #[must_use]
    pub fn chart_name(&self) -> Option<&str> {
        self.chart.as_deref().filter(|chart| !chart.is_empty())
    }

    /// Says whether the source only lends its files to others.
    #[must_use]
    pub fn is_reference_only(&self) -> bool {
        let is_given = |field: Option<&String>| field.is_some_and(|text| !text.is_empty());
        let makes_manifests = is_given(self.path.as_ref()) || is_given(self.chart.as_ref());
        is_given(self.reference.as_ref()) && !makes_manifests
    }

    /// Returns what to follow; `HEAD` where the source does not say.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.target_revision.as_deref().filter(|revision| !revision.is_empty()).unwrap_or("HEAD")
    }
}

/// Which files of a directory are read: every `.yaml`, `.yml`, `.json` and `.jsonnet` file, unless said
/// otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSourceDirectory {
    /// Reads the directories below as well. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurse: Option<bool>,
    /// Glob of files to leave out, matched against the path below the source's directory; `*` also
    /// matches `/`, and `{a,b}` means either. Wins over `include`. Example: `{test/*,*.tmpl.yaml}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<String>,
    /// Glob of the only files to read, of the same form as `exclude`. Example: `*.yaml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<String>,
    /// Variables and libraries for Jsonnet files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsonnet: Option<ApplicationSourceJsonnet>,
    /// Reads files of every name that `include` and `exclude` admit, whatever they end with. Default
    /// false. From newer Argo CD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_extension_filter: Option<bool>,
}

/// What Jsonnet files are evaluated with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSourceJsonnet {
    /// External variables, read with `std.extVar`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ext_vars: Vec<JsonnetVar>,
    /// Arguments of the top-level function.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tlas: Vec<JsonnetVar>,
    /// Directories that `import` searches, relative to the root of the repository.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub libs: Vec<String>,
}

/// A variable of Jsonnet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JsonnetVar {
    /// Name of the variable.
    pub name: String,
    /// Its value: a string, or an expression where `code` is true.
    pub value: String,
    /// Evaluates the value as Jsonnet. Default false: it is a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<bool>,
}

/// What a chart is rendered with. Values count in this order, later ones winning: the chart's own
/// `values.yaml`, `valueFiles` one after the other, `values` or `valuesObject`, `parameters`,
/// `fileParameters`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSourceHelm {
    /// Files of values: relative to the chart, or to the root of the repository with a leading `/`, or
    /// `$<ref>/…` in another source.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub value_files: Vec<String>,
    /// Leaves out those of `valueFiles` that do not exist instead of failing. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_missing_value_files: Option<bool>,
    /// Values as one string of YAML. Ignored where `valuesObject` is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
    /// Values as an object. Any fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub values_object: Option<Value>,
    /// Single values, as with `helm --set`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<HelmParameter>,
    /// Single values read from files, as with `helm --set-file`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_parameters: Vec<HelmFileParameter>,
    /// Name of the release that templates see. Default: the application's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_name: Option<String>,
    /// Namespace of the release that templates see. Default: the destination's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Major version of Helm: `v3`, which is also the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Kubernetes version that templates see, such as `1.37.0`. Default: the destination's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_version: Option<String>,
    /// API versions that templates see in `.Capabilities`, each `group/version` or
    /// `group/version/Kind`. Default: the destination's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
    /// Leaves out what lies in the chart's `crds` directory. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_crds: Option<bool>,
    /// Does not check values against the chart's `values.schema.json`. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_schema_validation: Option<bool>,
    /// Leaves out the chart's test hooks. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_tests: Option<bool>,
    /// Sends the repository's credentials also to other hosts that it refers to. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_credentials: Option<bool>,
}

/// One value given to Helm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmParameter {
    /// Path of the value, such as `image.tag` or `hosts[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The value. `$ARGOCD_APP_…` variables are replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Keeps the value a string even where it looks like a number or boolean. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_string: Option<bool>,
}

/// One value given to Helm as the content of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HelmFileParameter {
    /// Path of the value, such as `config.script`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The file, found as in `valueFiles`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Edits that are made to the `kustomization.yaml` before building.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSourceKustomize {
    /// Prefix of all names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_prefix: Option<String>,
    /// Suffix of all names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_suffix: Option<String>,
    /// Images to replace, each `[old=]new[:tag|@digest]`. Example: `nginx=registry.local/nginx:1.29`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Numbers of replicas to set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<KustomizeReplica>,
    /// Labels to add to all objects.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub common_labels: BTreeMap<String, String>,
    /// Overwrites labels that exist. Default false: an existing label is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_common_labels: Option<bool>,
    /// Adds the common labels to metadata only, not to selectors and templates. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_without_selector: Option<bool>,
    /// With `labelWithoutSelector`, adds the common labels to templates as well. Default false. From
    /// Argo CD 3.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_include_templates: Option<bool>,
    /// Annotations to add to all objects.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub common_annotations: BTreeMap<String, String>,
    /// Overwrites annotations that exist. Default false: an existing annotation is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_common_annotations: Option<bool>,
    /// Replaces `$ARGOCD_APP_…` variables in the values of the common annotations. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_annotations_envsubst: Option<bool>,
    /// Namespace to move all objects to. The destination's namespace only fills in missing ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Patches to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<KustomizePatch>,
    /// Components to add, relative to the source's directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Leaves out those of `components` that do not exist instead of failing. Default false. From Argo
    /// CD 3.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_missing_components: Option<bool>,
    /// Version of Kustomize to build with. Default: the one built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Kubernetes version for charts that the kustomization inflates. Default: the destination's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_version: Option<String>,
    /// API versions for charts that the kustomization inflates. Default: the destination's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
}

/// A patch of Kustomize: inline (`patch`) or from a file (`path`), for the objects of `target`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KustomizePatch {
    /// The patch itself: a strategic merge patch or a list of JSON patch operations, as YAML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// File that holds the patch, relative to the source's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Objects to patch. Required for JSON patches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<KustomizeSelector>,
    /// Switches of Kustomize: `allowNameChange`, `allowKindChange`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, bool>,
}

/// Selects objects by what is written; everything left out matches all. Group, version, kind, name and
/// namespace are regular expressions that match as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KustomizeSelector {
    /// API group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// API version within the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Label selector, such as `app=shop,tier!=cache`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
    /// Annotations, written like a label selector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation_selector: Option<String>,
}

/// A number of replicas to set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KustomizeReplica {
    /// Name of the Deployment, `StatefulSet`, `ReplicaSet` or `ReplicationController`.
    pub name: String,
    /// The number, or a string that holds a number.
    pub count: IntOrString,
}

/// The plugin and what it is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ApplicationSourcePlugin {
    /// Name of the plugin, with `-<version>` where it has one. Without it the plugins are asked which
    /// of them fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Environment variables; the plugin sees each as `ARGOCD_ENV_<name>`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvEntry>,
    /// Parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ApplicationSourcePluginParameter>,
}

/// An environment variable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnvEntry {
    /// Name, without the prefix.
    pub name: String,
    /// Value. `$ARGOCD_APP_…` variables are replaced.
    pub value: String,
}

/// A parameter of a plugin: one of `string`, `array` and `map`. An empty list or map differs from none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ApplicationSourcePluginParameter {
    /// Name of the parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The value of a string parameter.
    #[serde(rename = "string", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The values of a list parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<Vec<String>>,
    /// The entries of a map parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<BTreeMap<String, String>>,
}

/// The schema of an object whose fields nobody knows beforehand.
fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}
