#!/bin/sh
# build_dep.sh: installs what building a Debian package takes, if anything is missing. Usage: build_dep.sh SOURCES
set -eu
export DEBIAN_FRONTEND=noninteractive
if command -v dpkg-checkbuilddeps >/dev/null && (cd "$1" && dpkg-checkbuilddeps 2>/dev/null); then exit 0; fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends dpkg-dev >/dev/null
apt-get build-dep -y -qq --no-install-recommends "$(realpath "$1")" >/dev/null
