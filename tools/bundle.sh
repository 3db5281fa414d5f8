#!/usr/bin/env bash
# Collects the third-party sources that core, kernels, their tests and benchmarks are built from, for a machine that
# has none of the packages: configure there with -DMPP_BUNDLE=<DIR>. Takes what the installed packages ship; only
# Highway's sources are fetched, because its package has no .cc files. FAISS and OpenBLAS stay out.
# usage: tools/bundle.sh DIR
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1"
bundle=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

version_of() { dpkg-query --show --showformat='${Version}' "$1"; }

# record FOLDER PACKAGE WHAT: the manifest line and the licence of one part.
record() {
  printf '%-14s %-22s %-24s %s\n' "$1" "$2" "$(version_of "$2")" "$3" >>"$work/MANIFEST"
  cp "/usr/share/doc/$2/copyright" "$work/$1/COPYRIGHT"
}

# fetch_source PACKAGE: unpacks the source package of the installed version into $work/source. Asks the machine's own
# package sources first, then the distribution, through a private list that leaves the machine as it is.
fetch_source() {
  local private=$work/apt name version id codename
  name=$(dpkg-query --show --showformat='${source:Package}' "$1")
  version=$(dpkg-query --show --showformat='${source:Version}' "$1")
  mkdir -p "$work/download"
  cd "$work/download"
  if ! apt-get source --quiet --download-only "$name=$version" >/dev/null 2>&1; then
    # shellcheck source=/dev/null
    id=$(. /etc/os-release && echo "$ID") codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mkdir -p "$private/lists/partial" "$private/parts"
    case $id in
      debian)
        for suite in "$codename" "$codename-updates"; do
          echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main"
        done
        ;;
      ubuntu)
        for suite in "$codename" "$codename-updates"; do
          echo "deb-src [signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg] http://archive.ubuntu.com/ubuntu $suite main universe"
        done
        ;;
    esac >"$private/sources.list"
    local -a options=(-o "Dir::Etc::sourcelist=$private/sources.list" -o "Dir::Etc::sourceparts=$private/parts"
      -o "Dir::State::lists=$private/lists" -o "Dir::Cache=$private" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" --quiet update >/dev/null 2>&1 &&
      apt-get "${options[@]}" source --quiet --download-only "$name=$version" >/dev/null 2>&1 || return 1
  fi
  dpkg-source --no-check --extract ./*.dsc "$work/source" >/dev/null 2>&1
}

echo "bundle: collecting into $bundle"
mkdir -p "$work/googletest" "$work/highway/hwy" "$work/eigen3" "$work/cli11" "$work/nlohmann_json"

cp -r /usr/src/googletest/googletest/{include,src} "$work/googletest/"
record googletest googletest "sources"
cp -r /usr/include/eigen3/Eigen "$work/eigen3/"
record eigen3 libeigen3-dev "headers"
cp -r /usr/include/CLI "$work/cli11/"
record cli11 libcli11-dev "headers"
cp -r /usr/include/nlohmann "$work/nlohmann_json/"
record nlohmann_json nlohmann-json3-dev "headers"

if (fetch_source libhwy-dev); then
  (cd "$work/source" && find hwy \( -name examples -o -name tests -o -path 'hwy/contrib/*.cc' \) -prune \
    -o \( -name '*.h' -o -name '*.cc' ! -name '*_test.cc' \) -exec cp --parents {} "$work/highway" \;)
  record highway libhwy-dev "sources"
else
  # Debian's library is shared and its static twin is not packaged everywhere: take whichever there is.
  library=$(find /usr/lib -name libhwy.a -print -quit)
  if [ -z "$library" ]; then
    echo "bundle: no source package of Highway (offline, or no deb-src) and no libhwy.a here: cannot bundle it" >&2
    exit 1
  fi
  cp -r /usr/include/hwy "$work/highway/"
  mkdir -p "$work/highway/lib"
  cp "$library" "$work/highway/lib/"
  record highway libhwy-dev "headers and a static library: $(uname -m) only"
fi

# Boost by the headers that our sources name, and what those include under any compiler.
mapfile -t boost < <(grep -rhoE --include='*.[ch]pp' '#include <boost/[^>]+' core kernels domains tests bench examples | sed 's/.*<//' | sort -u)
if [ ${#boost[@]} -gt 0 ]; then
  mkdir -p "$work/boost" "$work/boost_closure"
  if ! bcp --boost=/usr/include "${boost[@]}" "$work/boost_closure" >"$work/bcp.log" 2>&1; then
    cat "$work/bcp.log" >&2
    exit 1
  fi
  mv "$work/boost_closure/boost" "$work/boost/"  # bcp also copies system headers; those belong to the other machine
  record boost libboost-math-dev "what ${boost[*]} include"
fi

for part in googletest highway eigen3 cli11 nlohmann_json boost; do
  rm -rf "${bundle:?}/$part"
  [ ! -d "$work/$part" ] || cp -r "$work/$part" "$bundle/"
done
cp "$work/MANIFEST" "$bundle/MANIFEST"
cat "$bundle/MANIFEST"
echo "bundle: $(du -sh "$bundle" | cut -f1); configure with -DMPP_BUNDLE=$bundle"
