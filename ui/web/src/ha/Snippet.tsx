// What an empty state gives to bring what is missing: a piece of configuration, or a command, to be copied.
const lines = {
  agent: `haagent:
  instances:
    - name: web
      interface: eth0
      vrid: 51
      priority: 254
      interval: 100ms
      addresses: [10.0.0.100/24]`,
  proxy: `collector:
  probes:
    haproxy:
      - name: edge
        socket: /run/haproxy/admin.sock`,
  listen: `collector:
  probes:
    vrrp:
      listen: [eth0]`,
  status: "keepwatch ha status",
};

export function Snippet({ of }: { of: keyof typeof lines }) {
  return <pre className="kw-snippet" tabIndex={0}>{lines[of]}</pre>;
}
