#!/bin/sh
# The VM's part of docs/deploy.md under a real systemd, in namespaces of its own: the unit as it is
# shipped, with everything that it forbids. No part of the suite: it needs root, a kernel that lets
# namespaces be made, cgroup v2, and takes two minutes.
#
#   sudo sh tests/deploy/real_systemd.sh
#
# The machine's own files are read through an overlay and stay as they are; of its network, the
# agent's port 9469 is used.
set -eu
self=$(readlink -f "$0")
top=$(dirname "$self")/../..
release=/opt/regional-probe/regional-probe-release

say() { echo "== $*"; }
must() { # WHAT COMMAND…: end unless the command succeeds
    what=$1
    shift
    if "$@"; then echo "ok: $what"; else
        echo "FAILED: $what" >&2
        exit 1
    fi
}
fails() { ! "$@"; }

outside() {
    work=$(mktemp -d)
    group=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)/regional-probe-test-$$
    booted=
    trap 'clean' EXIT
    say "two releases"
    cp -R "$top/probe" "$top/pyproject.toml" "$top/README.md" "$top/deploy" "$top/config" "$work/"
    for version in 0.1.0 0.2.0; do
        sed -i "s/^__version__ = .*/__version__ = \"$version\"/" "$work/probe/__init__.py"
        sh "$work/deploy/release/build.sh" "$work/release-$version"
    done
    mkdir "$group"
    setsid sh -c 'echo $$ >"$0/cgroup.procs"; exec unshare --mount --pid --fork --kill-child \
        --cgroup --uts --ipc sh "$1" boot "$2"' "$group" "$self" "$work" &
    booted=$!
    for _ in $(seq 50); do
        pid=$(pgrep -P "$(pgrep -P $booted -x unshare || echo $booted)" | head -n 1) || true
        [ -z "$pid" ] || ! within systemctl is-system-running >/dev/null 2>&1 || break
        sleep 0.2
    done
    must "systemd runs" within systemctl is-system-running
    within sh /tmp/real_systemd.sh inside
}

within() {
    nsenter --target "$pid" --mount --pid --uts --ipc --cgroup --root --wd \
        sh -c 'cd /tmp && PATH=/usr/sbin:/usr/bin:/sbin:/bin && exec "$@"' sh "$@"
}

clean() {
    [ -z "$booted" ] || kill -9 "$pid" "$booted" 2>/dev/null || true
    sleep 1
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    rm -rf "$work"
}

boot() { # the first process of the namespaces becomes systemd
    mount --make-rprivate /
    mkdir "$1/layer" "$1/root"
    mount -t tmpfs layer "$1/layer"
    mkdir "$1/layer/upper" "$1/layer/work"
    mount -t overlay -o "lowerdir=/,upperdir=$1/layer/upper,workdir=$1/layer/work" root "$1/root"
    cd "$1/root"
    mount -t proc proc proc
    mount --bind proc/sys proc/sys
    mount -o remount,ro,bind proc/sys
    mount -t tmpfs run run
    mount -t tmpfs tmp tmp
    mount -t tmpfs dev dev
    for device in null zero full random urandom tty; do
        touch "dev/$device"
        mount --bind "/dev/$device" "dev/$device"
    done
    touch dev/console
    mount --bind /dev/null dev/console
    mkdir dev/shm dev/pts old
    mknod dev/ptmx c 5 2
    ln -s /proc/self/fd dev/fd
    mount -t sysfs -o ro sys sys
    mount -t cgroup2 cgroup sys/fs/cgroup
    cp -R "$1"/release-* "$1/config" tmp/
    cp "$self" tmp/real_systemd.sh
    # Nothing of the machine's own services: a few empty targets, and the journal.
    mkdir run/units
    for target in default sysinit basic shutdown umount final multi-user network-online time-sync; do
        printf '[Unit]\nDefaultDependencies=no\n' >"run/units/$target.target"
    done
    cp lib/systemd/system/systemd-journald*.s* run/units/
    pivot_root . old
    umount -l /old
    mount --make-rshared /
    export container=test SYSTEMD_UNIT_PATH=/run/units:/etc/systemd/system
    exec /lib/systemd/systemd --system
}

unit() { systemctl show --property "$1" --value regional-probe@0.1.0.service; }

inside() {
    systemctl start systemd-journald.service
    say "install, configure, start"
    sh /tmp/release-0.1.0/regional-probe-release add /tmp/release-0.1.0
    cat >/etc/regional-probe/probe.yaml <<'CONFIGURATION'
region: auto
listen: 127.0.0.1:9469
defaults: {interval: 2s, timeout: 1s, confirm: {attempts: 1, spacing: 200ms}}
providers: {nowhere: {addresses: ["127.0.0.1:1"]}}
checks:
  - {name: stores, kind: tls, targets: [shop.example], providers: [nowhere]}
  - name: flow
    kind: api
    auth: {bot: {kind: bearer, token: "credential:secret_token"}}
    steps: [{name: home, auth: bot, get: "https://127.0.0.1:1/"}]
CONFIGURATION
    must "without a region it does not start" fails $release switch 0.1.0
    echo PROBE_REGION=sa-east >/etc/regional-probe/environment
    echo very-secret | install -m 600 /dev/stdin /etc/regional-probe/credentials/token
    must "it starts and says so" $release switch 0.1.0
    must "it is ready" /opt/regional-probe/current/bin/probe health --ready
    credentials
    say "reload"
    must "a good configuration" systemctl reload 'regional-probe@*'
    echo 'nonsense: 1' >>/etc/regional-probe/probe.yaml
    systemctl reload 'regional-probe@*'
    sed -i '/nonsense/d' /etc/regional-probe/probe.yaml
    sleep 1
    must "a bad one is refused in the log" grep -q 'reload refused' /dev/stdin <<LOG
$(journalctl -u regional-probe@0.1.0 -o cat)
LOG
    must "and the old one stays" test "$(unit ActiveState)" = active
    upgrade
    say "watchdog: a process that hangs"
    kill -STOP "$(unit MainPID)"
    sleep 45
    must "was started again" test "$(unit NRestarts)" -ge 1 -a "$(unit ActiveState)" = active
}

credentials() {
    say "credentials"
    sleep 3
    pid=$(unit MainPID)
    must "the secret is found" fails grep -q secret_missing /dev/stdin <<METRICS
$(curl -s http://127.0.0.1:9469/metrics)
METRICS
    must "it is in no environment or command line" fails grep -q very-secret "/proc/$pid/environ" "/proc/$pid/cmdline"
    must "nor in the journal" fails sh -c 'journalctl -o json | grep -q very-secret'
    for file in /run/credentials/regional-probe@0.1.0.service/secret_token /etc/regional-probe/credentials/token; do
        must "others cannot read $file" fails setpriv --reuid=nobody --clear-groups cat "$file"
    done
}

upgrade() {
    say "upgrade and rollback under a scraper"
    sh /tmp/release-0.2.0/regional-probe-release add /tmp/release-0.2.0
    : >/tmp/scrapes
    (while [ ! -e /tmp/stop ]; do
        curl -s -m 5 http://127.0.0.1:9469/metrics | grep -c '^probe_edge_attempts_total{'
    done >/tmp/scrapes || true) &
    scraper=$!
    must "upgrade" $release switch 0.2.0
    must "rollback" $release rollback
    sleep 1
    touch /tmp/stop
    wait $scraper
    must "$(grep -c '^1$' /tmp/scrapes) scrapes have the edge" test "$(grep -c '^1$' /tmp/scrapes)" -gt 50
    must "none is empty or fails" fails grep -qv '^1$' /tmp/scrapes
}

case ${1:-} in
    '') outside ;;
    boot) boot "$2" ;;
    inside) inside ;;
esac
