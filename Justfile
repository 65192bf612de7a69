# `just` lists the recipes. CONTRIBUTING.md says when to use which.

[private]
default:
    @just --list --unsorted

# start a real cluster in .cluster (the first time compiles Kubernetes, which takes some 10 minutes)
up:
    e2e/cluster up

# end the cluster of `just up` and remove it
down:
    e2e/cluster down

# run gitopsd in the foreground in the cluster of `just up`, which is started if need be
run:
    cargo build
    [ -e "${GITOPSD_CLUSTER:-.cluster}/pids" ] || e2e/cluster up
    e2e/gitopsd run

# the tests that need only Rust and git
test:
    cargo test

# the tests against a real cluster, which they start and end themselves
e2e:
    e2e/tools/build
    cargo test --features e2e --test e2e

# what gitopsd and the embedded API cost: requests, memory, time; with an optimised build, which takes minutes
bench:
    e2e/tools/build
    cargo bench --features e2e --bench cost
    cargo bench --bench embedded

# formatting, clippy, licences and sources of dependencies
lint:
    cargo fmt --check
    cargo clippy --all-targets --all-features -- -D warnings
    cargo deny check bans licenses sources

# write crds/ anew after a change of the API's types
crds:
    cargo run --quiet -- crds

# write src/embedded/kinds.json.gz anew: the built-in kinds, as a real kube-apiserver tells of them
kinds:
    e2e/kinds

# write src/embedded/protobuf.json.gz anew: how kubectl writes built-in kinds, as the Go modules of Kubernetes tell
protobuf:
    e2e/protobuf

# write src/embedded/validate/fields.json anew: what Go's types say of fields
fields:
    cd e2e/tools/kubernetes && go run ./fields > ../../../src/embedded/validate/fields.json.new
    mv src/embedded/validate/fields.json.new src/embedded/validate/fields.json

# write anew what a real kube-apiserver answers to the requests in tests/differential
record:
    e2e/tools/build
    GITOPSD_RECORD=1 cargo test --features e2e --test e2e differential

# all that a change must pass
ci:
    .ci/run
