#!/bin/sh
# demo.sh: makes a bundle with a busybox root, and shows what a container sees from the inside. Usage: demo.sh PYOCI PYTHON
set -eu
pyoci=$(realpath "$1")
python=$(realpath -s "$2")
bundle=$(mktemp -d)
trap 'rm -rf "$bundle"' EXIT
mkdir -p "$bundle/rootfs/bin"
cp /bin/busybox "$bundle/rootfs/bin/"
for name in sh cat echo grep hostname id ip mount ps sleep; do ln -s busybox "$bundle/rootfs/bin/$name"; done
cd "$bundle"
"$pyoci" spec
cat > rootfs/look <<'LOOK'
#!/bin/sh
say() { echo; echo "-- $1"; }
say "its own process tree: it is pid $$"
ps -o pid,ppid,user,args
say "its own host name";   hostname
say "its own mounts";      mount
say "its own network";     ip address
say "who it is";           id
say "its capabilities";    grep -E 'Cap|NoNewPrivs' /proc/self/status
LOOK
chmod +x rootfs/look
"$python" - <<'PY'
import json
config = json.load(open("config.json"))
config["process"]["terminal"] = False
config["process"]["args"] = ["/look"]
config["hostname"] = "a-container"
json.dump(config, open("config.json", "w"), indent="\t")
PY
echo "== the plan of this bundle (pyoci plan), its first steps:"
"$pyoci" plan | head -12
echo "   ..."
echo "== the container (pyoci run demo-$$):"
"$pyoci" run "demo-$$"
echo
echo "== nothing is left (pyoci list):"
"$pyoci" list
