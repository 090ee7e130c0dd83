// Addresses of what the lists lead to.
export const hostPath = (cluster: string, host: string) => `/hosts/${encodeURIComponent(cluster)}/${encodeURIComponent(host)}`;
export const metricPath = (metric: string) => `/metrics/${encodeURIComponent(metric)}`;
