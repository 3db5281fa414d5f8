#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that MPP is built with, and only those that are missing.
# usage: tools/deps.sh [GROUP...]     build (default: all that `make test` needs), format, bundle
set -euo pipefail

packages() {
  case $1 in
    build)
      echo g++ cmake ninja-build ccache libgtest-dev libhwy-dev libeigen3-dev libopenblas-dev libfaiss-dev \
        libboost-math-dev libcli11-dev nlohmann-json3-dev
      ;;
    format) echo clang-format-16 ;;
    bundle) echo dpkg-dev libboost-tools-dev ;;
    *) echo "deps: group is '$1', expected build, format or bundle" >&2; return 1 ;;
  esac
}

wanted=()
for group in "${@:-build}"; do
  list=$(packages "$group")
  read -ra names <<<"$list"
  wanted+=("${names[@]}")
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "deps: not a Debian system; install what corresponds to: ${wanted[*]}"
  exit 0
fi

# One query for all packages: an unknown one makes it fail and has no line, which is the answer we want.
installed=$(dpkg-query --show --showformat='${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null || true)
missing=()
for package in "${wanted[@]}"; do
  grep -qx "$package installed" <<<"$installed" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "deps: all ${#wanted[@]} packages are installed"
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "deps: missing ${missing[*]}; without sudo, run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "deps: missing ${missing[*]}"
echo "deps: will run as root: apt-get update, then apt-get install --no-install-recommends ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update --quiet
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "${missing[@]}"
