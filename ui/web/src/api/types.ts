// What the API says, as it says it: JSON names, times as RFC 3339 strings, ratios from 0 to 1.

export type State = "ok" | "warning" | "critical" | "unknown";
export type Role = "viewer" | "operator" | "admin";
export type Language = "" | "en" | "zh";
export type Labels = Record<string, string>;
export type Items<T> = { items: T[] };

export type Me = { name: string; full_name: string; role: Role; language: Language };

export type Alert = {
  id: number;
  rule_id: number;
  rule_name: string;
  cluster: string;
  host: string;
  metric: string;
  labels: Labels;
  unit: string;
  state: State;
  since: string;
  value: number | null;
  warning: string;
  critical: string;
  description: string;
  acknowledged_by: string | null;
  acknowledged_at: string | null;
  ack_comment: string;
  updated_at: string;
};

export type AlertEvent = {
  id: number;
  time: string;
  from: State;
  to: State;
  value: number | null;
  text: string;
  actor: string;
};

export type Channel = "mail" | "sms";

export type Notification = {
  id: number;
  kind: "problem" | "recovery" | "repeat" | "test";
  channel: Channel;
  contact_id: number | null;
  contact_name: string;
  recipient: string;
  subject: string;
  text: string;
  status: "queued" | "sending" | "sent" | "failed";
  tries: number;
  last_error: string;
  created_at: string;
  sent_at: string | null;
};

export type Event = {
  id: string;
  cluster: string;
  host: string;
  time: string;
  kind: string;
  text: string;
  labels: Labels;
};

export type Host = {
  cluster: string;
  name: string;
  up: boolean;
  last_seen: string;
  problems: { critical: number; warning: number; unknown: number };
  cpu_busy: number | null;
  memory_used: number | null;
  load1: number | null;
  cpus: number | null;
  disk_used: number | null;
  sources: string[];
};

export type HostMetric = { name: string; unit: string; kind: string; series: number };

export type CheckView = { vantage: string; up: boolean; seconds: number | null; time: string; fresh: boolean };

export type HostCheck = {
  name: string;
  target: string;
  state: "up" | "down" | "unknown";
  quorum: number;
  views: CheckView[];
};

export type HostName = { name: string; rule: string; source: string };

export type HostDetail = {
  host: Host;
  names: HostName[];
  facts: Labels & { uname?: string; boot_time?: string };
  metrics: HostMetric[];
  alerts: Alert[];
  events: Event[];
  filesystems: { mountpoint: string; device: string; size: number; used_ratio: number }[];
  interfaces: { device: string; up: boolean; speed: number | null }[];
  checks: HostCheck[];
};

export type Metric = { name: string; unit: string; kind: string; hosts: number; title: string; description: string };

export type Vip = {
  cluster: string;
  vip: string;
  instance: string;
  vrid: number;
  interface: string;
  holders: { host: string; since: string | null }[];
  seen_by: string[]; // hosts whose agent sees that another host has it too
  state: "held" | "nobody" | "conflict";
};

export type InstanceState = "init" | "backup" | "master" | "fault" | "unknown";

export type Instance = {
  cluster: string;
  host: string;
  instance: string;
  vrid: number;
  interface: string;
  family: string;
  state: InstanceState;
  since: string | null;
  priority: number | null;
  priority_configured: number | null;
  last_reason: string;
  version: number; // of VRRP; 0: not told
  group: string;
  moved: { track: string; effect: number; fault: boolean }[];
  paused: "" | "switched over" | "drained";
  leaving: boolean;
  vips: string[];
  agent_up: boolean;
  time: string;
};

export type ServerStatus = "up" | "down" | "maint" | "drain" | "nolb" | "no check" | "unknown";

export type ProxyServer = {
  name: string;
  address: string;
  status: ServerStatus;
  since: string | null;
  sessions: number | null;
  check: string;
  response_seconds: number | null;
};

export type Backend = { name: string; up: boolean; active_servers: number; servers: ProxyServer[] };

export type Proxy = {
  cluster: string;
  host: string;
  name: string;
  up: boolean;
  version: string;
  uptime_seconds: number | null;
  sessions: number | null;
  request_rate: number | null;
  frontends: { name: string; status: string; sessions: number | null; request_rate: number | null }[];
  backends: Backend[];
  time: string;
};

export type Heard = {
  cluster: string;
  host: string;
  interface: string;
  vrid: number;
  source: string;
  version: string | number;
  family: string;
  priority: number;
  time: string;
};

export type Group = { cluster: string; host: string; group: string; state: InstanceState; time: string };

export type Bfd = {
  cluster: string;
  host: string;
  session: string;
  peer: string;
  state: "up" | "down" | "unknown";
  detection_seconds: number | null;
  time: string;
};

export type HA = {
  instances: Instance[];
  groups: Group[];
  bfd: Bfd[];
  vips: Vip[];
  proxies: Proxy[];
  transitions: Event[];
  heard: Heard[];
};

export type Overview = {
  now: string;
  problems: Alert[];
  problems_total: { critical: number; warning: number; unknown: number; acknowledged: number };
  hosts: {
    up: number;
    down: number;
    total: number;
    down_list: { cluster: string; name: string; last_seen: string }[];
  };
  vips: Vip[];
  recent_events: Event[];
  data: {
    newest_sample_at: string | null;
    samples_per_second: number | null;
    writer_lag_seconds: number | null;
  };
  notifications: { queued: number; failed_24h: number };
};

export type AlertDetail = {
  alert: Alert;
  events: AlertEvent[];
  notifications: Notification[];
  around: Event[];
};

export type Transform = "value" | "rate";

// ThresholdInput is what a form sends; the server adds the rest.
export type ThresholdInput = {
  name: string;
  metric: string;
  hosts: string;
  labels: Labels;
  transform: Transform;
  warning: string;
  critical: string;
  for_seconds: number;
  clear_seconds: number;
  no_data: boolean;
  description: string;
  enabled: boolean;
  contacts: number[];
};

export type Threshold = ThresholdInput & {
  id: number;
  version: number;
  updated_at: string;
  updated_by: string;
  alerting: number;
};

// Level is a parsed Nagios range: an alert is what lies outside of low..high, or inside when inside is set.
export type Level = { low: number | null; high: number | null; inside: boolean };

export type Preview = {
  expr: string;
  series: number;
  firing_now: number;
  fired_24h: number;
  levels: { warning: Level | null; critical: Level | null };
};

export type ContactInput = {
  name: string;
  email: string;
  phone: string;
  language: "en" | "zh";
  sms_from: "warning" | "critical";
  enabled: boolean;
};

export type Contact = ContactInput & { id: number; thresholds: number; updated_at: string };

export type Channels = Record<Channel, { configured: boolean; why: string }>;

export type User = {
  id: number;
  name: string;
  full_name: string;
  role: Role;
  language: Language;
  disabled: boolean;
  created_at: string;
  last_login: string | null;
};

export type AuditEntry = {
  id: number;
  time: string;
  actor: string;
  action: string;
  object: string;
  details: unknown;
};

export type About = { version: string; cluster: string; started_at: string; schema_version: number };
