# Sourced by fresh and arm64: a new Debian root folder to try things in. shellcheck shell=sh
#
# root_enter SCRIPT RELEASE comes back within namespaces of its own, with $root made by debootstrap
# (minbase) and ready for apt; SCRIPT is what it starts there once more. It ends the script itself
# where that cannot be: with a line and status 0 where something is missing here, with 1 after a
# failure. The root takes up to 3 GB in $TMPDIR (/var/tmp) and goes when the script ends, however it
# ends: its mounts and processes end with the namespaces.
#
# The mirror is $DEBIAN_MIRROR, or the first Debian mirror of this machine's apt.

root_skip() {
    echo "$(basename "$0") $release: skipped: $*"
    exit 0
}
root_stage() {
    echo "$(basename "$0") $release: $* ($(($(date +%s) - began)) s)"
}

# A shell's command line in there, with nothing of our environment but what $root_environment has.
root_run() { # COMMAND...
    # shellcheck disable=SC2086 # assignments without spaces
    chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin ${root_environment-} \
        sh -c "$*" </dev/null
}
root_install() { # PACKAGE...
    root_run "apt-get -qq update && apt-get -qq install -y --no-install-recommends $*" \
        >"$root.packages" 2>&1 && return
    tail -n 20 "$root.packages"
    return 1
}

# The last commit of this checkout, in /root/digitsum of the root; and MNIST, where it is known.
root_checkout() {
    git -c safe.directory='*' clone -q --no-hardlinks "$(dirname "$0")/../.." "$root/root/digitsum" ||
        return 1
    [ -n "${MNIST_DIR-}" ] || return 0
    cp -RL "$MNIST_DIR" "$root/mnist" && root_environment="${root_environment-} MNIST_DIR=/mnist"
}

root_make() {
    debootstrap --variant=minbase "$release" "$root" "$mirror" >"$root.log" 2>&1 || {
        tail -n 20 "$root.log"
        return 1
    }
    mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" &&
        mount --rbind /dev "$root/dev" || return 1
    # What Debian's installer writes: localhost is of two families.
    printf '%s\n' '127.0.0.1 localhost' '127.0.1.1 fresh' \
        '::1 localhost ip6-localhost ip6-loopback' >"$root/etc/hosts"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    apt-config dump | grep -E '^Acquire::(.*[Pp]roxy|Check-)' >"$root/etc/apt/apt.conf.d/90host"
    case $mirror in https:*) root_install ca-certificates ;; esac
}

# With unshare all its processes and mounts end; the last of them may still be writing for a moment.
root_leave() {
    kill -KILL "$inside" 2>/dev/null
    wait "$inside" 2>/dev/null
    rm -rf --one-file-system "$folder" 2>/dev/null || {
        sleep 1
        rm -rf --one-file-system "$folder"
    }
}

root_enter() { # SCRIPT RELEASE
    release=$2 began=$(date +%s)
    if [ -n "${FRESH_ROOT-}" ]; then
        root=$FRESH_ROOT mirror=$FRESH_MIRROR
        root_stage 'making a root'
        root_make || exit 1
        return
    fi
    [ "$(id -u)" -eq 0 ] || root_skip 'it takes root to make a Debian root folder'
    for tool in debootstrap unshare git; do
        command -v "$tool" >/dev/null ||
            root_skip "no $tool here (Debian packages debootstrap, util-linux, git)"
    done
    [ -e "/usr/share/debootstrap/scripts/$release" ] ||
        root_skip 'debootstrap here knows no release of that name'
    unshare --mount --pid --fork true 2>/dev/null ||
        root_skip 'this machine allows no mounts (a container?)'
    # shellcheck disable=SC2016 # apt's own variable
    mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
        'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1)}
    [ -n "$mirror" ] || root_skip 'no Debian mirror in the apt sources here: set DEBIAN_MIRROR'
    folder=$(mktemp -d "${TMPDIR:-/var/tmp}/digitsum-$release-XXXXXX") || exit 1
    mkdir "$folder/root"
    FRESH_ROOT=$folder/root FRESH_MIRROR=$mirror \
        unshare --mount --pid --fork --kill-child --mount-proc sh "$1" "$release" &
    inside=$!
    trap root_leave EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    wait $inside
    exit
}
