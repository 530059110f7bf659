#!/bin/sh
# cluster.sh up|down: the kind cluster of kind-config.yaml, and a registry beside it that Tilt pushes to.
# After https://kind.sigs.k8s.io/docs/user/local-registry/
set -eu
cluster=landfall
registry=landfall-registry
port=5001
image=registry:3.0.0

for tool in docker kind kubectl; do
    command -v "$tool" >/dev/null || { echo "$tool is not on PATH: install it first" >&2; exit 1; }
done

up() {
    if ! docker container inspect "$registry" >/dev/null 2>&1; then
        docker run --detach --restart=unless-stopped --name "$registry" --publish "127.0.0.1:$port:5000" "$image" >/dev/null
    fi
    docker start "$registry" >/dev/null
    kind get clusters | grep -qx "$cluster" || kind create cluster --config kind-config.yaml --wait 2m
    # On a node, localhost is the node itself: say there where the registry of that name is.
    for node in $(kind get nodes --name "$cluster"); do
        docker exec -i "$node" sh -c "mkdir -p /etc/containerd/certs.d/localhost:$port &&
            cat >/etc/containerd/certs.d/localhost:$port/hosts.toml" <<TOML
[host."http://$registry:5000"]
TOML
    done
    docker network connect kind "$registry" 2>/dev/null || docker network inspect kind | grep -q "\"$registry\"" ||
        { echo "The registry $registry cannot join the network kind: docker network connect kind $registry" >&2; exit 1; }
    kubectl --context "kind-$cluster" apply --server-side -f - <<YAML
apiVersion: v1
kind: ConfigMap
metadata: {name: local-registry-hosting, namespace: kube-public}
data:
  localRegistryHosting.v1: |
    host: "localhost:$port"
    help: "https://kind.sigs.k8s.io/docs/user/local-registry/"
YAML
    kubectl config use-context "kind-$cluster"
}

down() {
    kind delete cluster --name "$cluster"
    docker container rm --force --volumes "$registry" >/dev/null
}

case ${1:-} in
    up | down) "$1" ;;
    *) echo "usage: k8s/dev/cluster.sh up|down" >&2; exit 2 ;;
esac
