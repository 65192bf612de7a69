# The processes of a cluster's folder, for e2e/cluster and e2e/gitopsd: $dir/pids has a file for
# each, named after it. Sourced; expects $dir to be absolute.

# start PROGRAM ARGUMENT..: in a session of its own, so that Ctrl-C reaches only the script.
start() {
    local name
    name=$(basename "$1")
    GITOPSD_CLUSTER=$dir setsid "$@" </dev/null >>"$dir/logs/$name.log" 2>&1 &
    echo $! >"$dir/pids/$name"
    disown # or bash reports its end
}

# alive NAME: whether the process runs and belongs to this cluster. Its environment tells: the
# number alone may belong to somebody else by now.
alive() {
    local pid
    pid=$(cat "$dir/pids/$1" 2>/dev/null) &&
        grep -qzFx "GITOPSD_CLUSTER=$dir" "/proc/$pid/environ" 2>/dev/null
}

# end SIGNAL NAME..: sends the signal and waits until they are gone.
end() {
    local signal=$1 name
    shift
    for name in "$@"; do
        ! alive "$name" || kill "-$signal" "$(cat "$dir/pids/$name")" 2>/dev/null || true
    done
    for name in "$@"; do
        while alive "$name"; do sleep 0.05; done
        rm -f "$dir/pids/$name"
    done
}

# until_true SECONDS NAME COMMAND: waits for COMMAND to succeed while every process is alive.
until_true() {
    local deadline=$((SECONDS + $1)) name
    until "$3" >/dev/null 2>"$dir/logs/waiting.log"; do
        for name in $(ls "$dir/pids"); do
            alive "$name" || give_up "$name" "ended too early"
        done
        [ "$SECONDS" -lt "$deadline" ] || give_up "$2" "did not come up within $1 seconds"
        sleep 0.1
    done
}

# give_up NAME WHAT
give_up() {
    {
        echo "$(basename "$0"): $1 $2; its log ends with:"
        tail -n 15 "$dir/logs/$1.log" | cut -c1-300 | sed 's/^/    /'
        [ ! -s "$dir/logs/waiting.log" ] || sed 's/^/waiting for it said: /' "$dir/logs/waiting.log" | tail -n 3
    } >&2
    exit 1
}

# Below the range that the system hands out by itself, so nobody takes it before the server does.
free_port() {
    local candidate
    for _ in $(seq 100); do
        candidate=$((20000 + RANDOM % 12000))
        if ! (: <"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "no free port on 127.0.0.1 between 20000 and 32000"
}

# With a cache of its own: the next cluster may get the same port and serve other kinds.
kubectl() { KUBECACHEDIR=$dir/kubectl-cache "$dir/bin/kubectl" --kubeconfig="$dir/kubeconfig" "$@"; }

fail() {
    echo "$(basename "$0"): $1" >&2
    exit 1
}
