// Which charts a host's page shows, in which group, and what each asks for. A chart is shown when the host has any of
// its metrics.
import { plotted, selector } from "../api/prometheus";
import type { HostMetric, Labels, Transform } from "../api/types";
import type { Asked } from "../charts/MetricChart";
import { unitOf } from "../charts/units";

export type Part = {
  metric: string;
  transform: Transform;
  match?: string; // further matchers
  label?: string; // key of the word for its series
};

export type ChartPlan = { id: string; unit: string; top?: number; parts: Part[] };
export type Group = { id: string; charts: ChartPlan[] };

const value = (metric: string, label?: string, match?: string): Part => ({ metric, transform: "value", label, match });
const rate = (metric: string, label?: string): Part => ({ metric, transform: "rate", label });

export const groups: Group[] = [
  {
    id: "cpu",
    charts: [
      { id: "cpuUsage", unit: "ratio", top: 1, parts: [value("node_cpu_usage_ratio", undefined, 'mode!="idle"')] },
      { id: "load", unit: "", parts: [value("node_load1", "load1"), value("node_load5", "load5"), value("node_load15", "load15")] },
    ],
  },
  {
    id: "memory",
    charts: [
      { id: "memoryUsed", unit: "ratio", top: 1, parts: [value("node_memory_used_ratio", "memory"), value("node_swap_used_ratio", "swap")] },
      {
        id: "memoryBytes", unit: "bytes",
        parts: [
          value("node_memory_MemTotal_bytes", "total"), value("node_memory_MemAvailable_bytes", "available"),
          value("node_memory_Cached_bytes", "cached"), value("node_memory_Buffers_bytes", "buffers"), value("node_memory_MemFree_bytes", "free"),
        ],
      },
    ],
  },
  {
    id: "disk",
    charts: [
      { id: "filesystem", unit: "ratio", top: 1, parts: [value("node_filesystem_used_ratio")] },
      { id: "inodes", unit: "ratio", top: 1, parts: [value("node_filesystem_files_used_ratio")] },
    ],
  },
  {
    id: "io",
    charts: [
      { id: "diskBytes", unit: "bytes/s", parts: [rate("node_disk_read_bytes_total", "read"), rate("node_disk_written_bytes_total", "written")] },
      { id: "diskOps", unit: "/s", parts: [rate("node_disk_reads_completed_total", "read"), rate("node_disk_writes_completed_total", "written")] },
      { id: "diskBusy", unit: "seconds/s", parts: [rate("node_disk_io_time_seconds_total")] },
    ],
  },
  {
    id: "process",
    charts: [
      { id: "procs", unit: "", parts: [value("node_procs_running", "running"), value("node_procs_blocked", "blocked")] },
      { id: "processes", unit: "", parts: [value("node_processes")] },
      { id: "switches", unit: "/s", parts: [rate("node_context_switches_total", "switches"), rate("node_intr_total", "interrupts"), rate("node_forks_total", "forks")] },
    ],
  },
  {
    id: "network",
    charts: [
      { id: "netBytes", unit: "bytes/s", parts: [rate("node_network_receive_bytes_total", "received"), rate("node_network_transmit_bytes_total", "sent")] },
      { id: "netPackets", unit: "/s", parts: [rate("node_network_receive_packets_total", "received"), rate("node_network_transmit_packets_total", "sent")] },
      { id: "netErrors", unit: "/s", parts: [rate("node_network_receive_errs_total", "received"), rate("node_network_transmit_errs_total", "sent"), rate("node_network_receive_drop_total", "dropped")] },
      { id: "tcp", unit: "", parts: [value("node_netstat_Tcp_CurrEstab", "established")] },
      { id: "retransmits", unit: "/s", parts: [rate("node_netstat_Tcp_RetransSegs_total", "retransmitted")] },
      { id: "snmpBytes", unit: "bytes/s", parts: [rate("snmp_interface_receive_bytes_total", "received"), rate("snmp_interface_transmit_bytes_total", "sent")] },
    ],
  },
];

// present leaves of a plan what the host has.
export function present(plan: Group[], metrics: HostMetric[]): Group[] {
  const has = new Set(metrics.map((m) => m.name));
  return plan
    .map((group) => ({
      ...group,
      charts: group.charts
        .map((chart) => ({ ...chart, parts: chart.parts.filter((part) => has.has(part.metric)) }))
        .filter((chart) => chart.parts.length > 0),
    }))
    .filter((group) => group.charts.length > 0);
}

const selectPart = (part: Part, target: Labels) => {
  const all = selector(part.metric, target);
  return part.match ? all.replace(/\}$/, `,${part.match}}`) : all;
};

export const askPart = (part: Part, target: Labels, label?: string): Asked => ({
  label,
  expr: (step) => plotted(selectPart(part, target), "gauge", part.transform, step),
});

// planOf makes the chart of any metric.
export function planOf(metric: HostMetric): ChartPlan {
  const transform: Transform = metric.kind === "counter" ? "rate" : "value";
  return { id: metric.name, unit: unitOf(metric.unit, transform), parts: [{ metric: metric.name, transform }] };
}
