//! Containers of pods.

use std::collections::HashSet;

use serde_json::Value;

use super::super::findings::Findings;
use super::super::names;
use super::super::quantity::Quantity;
use super::super::view::int;
use super::super::view::items;
use super::super::view::map;
use super::super::view::text;
use super::services::port_number_or_name;
use super::volumes::no_backsteps;

/// What containers may refer to.
pub(super) struct Pod<'a> {
    /// Names of volumes.
    pub(super) volumes: HashSet<&'a str>,
}

/// Checks what all containers have in common.
pub(super) fn check(found: &mut Findings, pod: &Pod<'_>, container: &Value, field: &str) {
    let at = |name: &str| format!("{field}.{name}");
    match text(container, "name") {
        "" => found.required(&at("name"), ""),
        name => found.invalid_each(&at("name"), name, &names::dns_label(name)),
    }
    if text(container, "image").is_empty() {
        found.required(&at("image"), "");
    }
    let policy = container["terminationMessagePolicy"].as_str();
    found.one_of(&at("terminationMessagePolicy"), policy, &["File", "FallbackToLogsOnError"]);
    ports(found, container, &at("ports"));
    variables(found, container, &at("env"));
    variables_from(found, container, &at("envFrom"));
    mounts(found, pod, container, &at("volumeMounts"));
    let policy = container["imagePullPolicy"].as_str();
    found.one_of(&at("imagePullPolicy"), policy, &["Always", "IfNotPresent", "Never"]);
    resources(found, &container["resources"], &at("resources"));
}

/// Checks probes and lifecycle hooks; only containers that last may have them.
pub(super) fn hooks(found: &mut Findings, container: &Value, field: &str, lasting: bool) {
    if !lasting {
        for name in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if !container[name].is_null() {
                let told = "may not be set for init containers without restartPolicy=Always";
                found.forbidden(&format!("{field}.{name}"), told);
            }
        }
        return;
    }
    for name in ["postStart", "preStop"] {
        let hook = &container["lifecycle"][name];
        if !hook.is_null() {
            handler(found, hook, &format!("{field}.lifecycle.{name}"));
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let (probe, field) = (&container[name], format!("{field}.{name}"));
        if probe.is_null() {
            continue;
        }
        handler(found, probe, &field);
        for name in
            ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
        {
            found.not_negative(&format!("{field}.{name}"), int(probe, name));
        }
        if let Some(grace) = int(probe, "terminationGracePeriodSeconds").filter(|seconds| *seconds <= 0) {
            let field = format!("{field}.terminationGracePeriodSeconds");
            found.invalid(&field, grace, "must be greater than 0");
        }
        let threshold = int(probe, "successThreshold").filter(|threshold| *threshold != 1);
        if let Some(threshold) = threshold.filter(|_| name != "readinessProbe") {
            found.invalid(&format!("{field}.successThreshold"), threshold, "must be 1");
        }
    }
}

fn handler(found: &mut Findings, handler: &Value, field: &str) {
    let kinds = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];
    let mut given = kinds.into_iter().filter(|kind| !handler[*kind].is_null());
    let Some(first) = given.next() else { return found.required(field, "must specify a handler type") };
    let action = &handler[first];
    let at = |name: &str| format!("{field}.{first}.{name}");
    match first {
        "exec" if items(action, "command").next().is_none() => found.required(&at("command"), ""),
        "httpGet" => {
            if text(action, "path").is_empty() {
                found.required(&at("path"), "");
            }
            port_number_or_name(found, &action["port"], &at("port"));
            found.known(&at("scheme"), action["scheme"].as_str(), &["HTTP", "HTTPS"]);
        }
        "tcpSocket" => port_number_or_name(found, &action["port"], &at("port")),
        _ => {}
    }
    for more in given {
        found.forbidden(&format!("{field}.{more}"), "may not specify more than 1 handler type");
    }
}

fn ports(found: &mut Findings, container: &Value, field: &str) {
    let mut seen = HashSet::new();
    for (index, port) in items(container, "ports").enumerate() {
        let at = |name: &str| format!("{field}[{index}].{name}");
        let name = text(port, "name");
        if !name.is_empty() {
            let wrong = names::port_name(name);
            if wrong.is_empty() && !seen.insert(name) {
                found.duplicate(&at("name"), name);
            }
            found.invalid_each(&at("name"), name, &wrong);
        }
        for name in ["containerPort", "hostPort"] {
            match int(port, name).unwrap_or_default() {
                0 if name == "containerPort" => found.required(&at(name), ""),
                0 => {}
                number => {
                    for wrong in names::port_number(number) {
                        found.invalid(&at(name), number, &wrong);
                    }
                }
            }
        }
        found.one_of(&at("protocol"), port["protocol"].as_str(), &["SCTP", "TCP", "UDP"]);
    }
}

fn variables(found: &mut Findings, container: &Value, field: &str) {
    for (index, variable) in items(container, "env").enumerate() {
        let field = format!("{field}[{index}]");
        match text(variable, "name") {
            "" => found.required(&format!("{field}.name"), ""),
            name => found.invalid_each(&format!("{field}.name"), name, &names::variable(name)),
        }
        let from = &variable["valueFrom"];
        if from.is_null() {
            continue;
        }
        let field = format!("{field}.valueFrom");
        let sources = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
        let given: Vec<_> = sources.into_iter().filter(|source| !from[*source].is_null()).collect();
        for source in given.iter().filter(|source| source.ends_with("KeyRef") && **source != "fileKeyRef") {
            let name = text(&from[*source], "name");
            found.invalid_each(&format!("{field}.{source}.name"), name, &names::dns_subdomain(name));
            match text(&from[*source], "key") {
                "" => found.required(&format!("{field}.{source}.key"), ""),
                key => found.invalid_each(&format!("{field}.{source}.key"), key, &names::config_key(key)),
            }
        }
        if given.is_empty() {
            let told = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or \
                        `fileKeyRef`";
            found.invalid(&field, "", told);
        } else if !text(variable, "value").is_empty() {
            found.invalid(&field, "", "may not be specified when `value` is not empty");
        } else if given.len() > 1 {
            found.invalid(&field, "", "may not have more than one field specified at a time");
        }
    }
}

fn variables_from(found: &mut Findings, container: &Value, field: &str) {
    for (index, from) in items(container, "envFrom").enumerate() {
        let sources = ["configMapRef", "secretRef"];
        let given: Vec<_> = sources.into_iter().filter(|source| !from[*source].is_null()).collect();
        for source in &given {
            match text(&from[*source], "name") {
                "" => found.required(&format!("{field}[{index}].{source}.name"), ""),
                name => {
                    let field = format!("{field}[{index}].{source}.name");
                    found.invalid_each(&field, name, &names::dns_subdomain(name));
                }
            }
        }
        match given.len() {
            0 => found.invalid(field, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => found.invalid(field, "", "may not have more than one field specified at a time"),
        }
    }
}

fn mounts(found: &mut Findings, pod: &Pod<'_>, container: &Value, field: &str) {
    let mut paths = HashSet::new();
    for (index, mount) in items(container, "volumeMounts").enumerate() {
        let at = |name: &str| format!("{field}[{index}].{name}");
        let (name, path) = (text(mount, "name"), text(mount, "mountPath"));
        if name.is_empty() {
            found.required(&at("name"), "");
        }
        if !pod.volumes.contains(name) {
            found.not_found(&at("name"), name);
        }
        if path.is_empty() {
            found.required(&at("mountPath"), "");
        }
        if !paths.insert(path) {
            found.invalid(&at("mountPath"), path, "must be unique");
        }
        for name in ["subPath", "subPathExpr"] {
            let path = text(mount, name);
            if path.starts_with('/') {
                found.invalid(&format!("{field}.{name}"), path, "must be a relative path");
            }
            no_backsteps(found, path, &format!("{field}.{name}"));
        }
    }
}

fn resources(found: &mut Findings, resources: &Value, field: &str) {
    let read = |value: &Value| Quantity::read(value.as_str().unwrap_or_default()).ok();
    for list in ["limits", "requests"] {
        for (name, value) in map(&resources[list]) {
            let field = format!("{field}.{list}[{name}]");
            resource_name(found, name, &field);
            if read(value).is_some_and(Quantity::is_negative) {
                found.invalid(&field, value.clone(), "must be greater than or equal to 0");
            }
            if name.contains('/') && read(value).is_some_and(|quantity| !quantity.is_whole()) {
                found.invalid(&field, value.clone(), "must be an integer");
            }
        }
    }
    let limits = format!("{field}.limits");
    let field = format!("{field}.requests");
    for (name, value) in map(&resources["requests"]) {
        let limit = &resources["limits"][name.as_str()];
        if name.contains('/') && limit.is_null() {
            found.required(&limits, "Limit must be set for non overcommitable resources");
        }
        let Some((request, limited)) = read(value).zip(read(limit)) else { continue };
        let told = limit.as_str().unwrap_or_default();
        if name.contains('/') && request != limited {
            found.invalid(&field, value.clone(), &format!("must be equal to {name} limit of {told}"));
        } else if request.exceeds(limited) {
            let told = format!("must be less than or equal to {name} limit of {told}");
            found.invalid(&field, value.clone(), &told);
        }
    }
}

fn resource_name(found: &mut Findings, name: &str, field: &str) {
    let wrong = names::label_key(name);
    if !wrong.is_empty() {
        found.invalid_each(field, name, &wrong);
    } else if !name.contains('/')
        && !["cpu", "memory", "ephemeral-storage"].contains(&name)
        && !name.starts_with("hugepages-")
    {
        let standard = ["storage", "pods", "services", "configmaps", "secrets", "persistentvolumeclaims"];
        if !standard.contains(&name) {
            found.invalid(field, name, "must be a standard resource type or fully qualified");
        }
        found.invalid(field, name, "must be a standard resource for containers");
    }
}
