// Every question that a page may ask, as a hook. The first word of a key says what live changes touch it (live.ts).
import { keepPreviousData, QueryCache, QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ApiError, call, del, get, post, put, query } from "./client";
import { setServerTime } from "./clock";
import { forget, recall, remember } from "./memory";
import type * as T from "./types";

const retry = (failures: number, error: Error) =>
  failures < 2 && error instanceof ApiError && (error.status === 0 || error.status >= 500);

export function newQueryClient(): QueryClient {
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error) => {
        // A session that ended anywhere ends everywhere: the guard of the app then shows the sign-in.
        if (error instanceof ApiError && error.status === 401) client.setQueryData(["me"], null);
      },
    }),
    defaultOptions: { queries: { retry, staleTime: 2_000, gcTime: 10 * 60_000, networkMode: "always" }, mutations: { networkMode: "always" } },
  });
  return client;
}

// Session and own account.

export const useSession = () =>
  useQuery({
    queryKey: ["me"],
    queryFn: ({ signal }) =>
      get<T.Me>("/session", signal).catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 401) return null;
        throw error;
      }),
    staleTime: 60_000,
  });

export function useSignIn() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: { name: string; password: string }) => post<T.Me>("/session", body),
    onSuccess: (me) => client.setQueryData(["me"], me),
  });
}

export function useSignOut() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => del("/session"),
    onSettled: () => {
      forget();
      client.setQueryData(["me"], null);
      client.removeQueries({ predicate: (q) => q.queryKey[0] !== "me" });
    },
  });
}

export function useSaveMe() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: { full_name: string; language: T.Language }) => put<T.Me | undefined>("/me", body),
    onSuccess: () => client.invalidateQueries({ queryKey: ["me"] }),
  });
}

export const useSavePassword = () =>
  useMutation({ mutationFn: (body: { current: string; new: string }) => put<void>("/me/password", body) });

// What is going on.

export const useOverview = () =>
  useQuery<T.Overview>({
    queryKey: ["overview"],
    queryFn: async ({ signal }) => {
      const overview = await get<T.Overview>("/overview", signal);
      setServerTime(overview.now);
      remember("overview", overview);
      return overview;
    },
    // The last known state is there at first paint; it tells its age itself until the new one arrives.
    initialData: () => recall<T.Overview>("overview"),
    initialDataUpdatedAt: 0,
    refetchInterval: 10_000,
  });

export const useAlerts = (filter: { state: string; host?: string; rule?: number; limit?: number }) =>
  useQuery({
    queryKey: ["alerts", filter],
    queryFn: ({ signal }) => get<T.Items<T.Alert>>(`/alerts${query(filter)}`, signal),
    placeholderData: keepPreviousData,
    refetchInterval: 15_000,
  });

export const useAlert = (id: string) =>
  useQuery({
    queryKey: ["alert", id],
    queryFn: ({ signal }) => get<T.AlertDetail>(`/alerts/${id}`, signal),
    refetchInterval: 15_000,
  });

const alertKeys = new Set(["overview", "alerts", "alert", "host"]);

export function useAcknowledge() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (what: { id: number; comment: string | null }) =>
      what.comment === null
        ? del<T.Alert>(`/alerts/${what.id}/acknowledge`)
        : post<T.Alert>(`/alerts/${what.id}/acknowledge`, { comment: what.comment }),
    onSuccess: () => client.invalidateQueries({ predicate: (q) => alertKeys.has(String(q.queryKey[0])) }),
  });
}

export type EventFilter = {
  cluster?: string;
  host?: string;
  kind?: string;
  since?: string;
  until?: string;
  limit?: number;
};

export const useEvents = (filter: EventFilter) =>
  useQuery({
    queryKey: ["events", filter],
    queryFn: ({ signal }) => get<T.Items<T.Event>>(`/events${query(filter)}`, signal),
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
  });

// Hosts and metrics.

export const useHosts = () =>
  useQuery({
    queryKey: ["hosts"],
    queryFn: ({ signal }) => get<T.Items<T.Host>>("/hosts", signal),
    refetchInterval: 15_000,
  });

export const useHost = (cluster: string, name: string) =>
  useQuery({
    queryKey: ["host", cluster, name],
    queryFn: ({ signal }) => get<T.HostDetail>(`/hosts/${encodeURIComponent(cluster)}/${encodeURIComponent(name)}`, signal),
    refetchInterval: 15_000,
  });

export const useMetrics = (enabled = true) =>
  useQuery({
    queryKey: ["metrics"],
    queryFn: ({ signal }) => get<T.Items<T.Metric>>("/metrics", signal),
    staleTime: 60_000,
    enabled,
  });

// Thresholds.

export const useThresholds = (enabled = true) =>
  useQuery({
    queryKey: ["thresholds"],
    queryFn: ({ signal }) => get<T.Items<T.Threshold>>("/thresholds", signal),
    enabled,
  });

export const useThreshold = (id: string | number | undefined) =>
  useQuery({
    queryKey: ["threshold", String(id)],
    queryFn: ({ signal }) => get<T.Threshold>(`/thresholds/${id}`, signal),
    enabled: id !== undefined,
  });

const ruleKeys = new Set(["thresholds", "threshold", "contacts"]);

function useRuleChange<In, Out>(mutationFn: (input: In) => Promise<Out>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn,
    onSuccess: () => client.invalidateQueries({ predicate: (q) => ruleKeys.has(String(q.queryKey[0])) }),
  });
}

export const useSaveThreshold = () =>
  useRuleChange((rule: { id?: number; version?: number; input: T.ThresholdInput }) =>
    rule.id === undefined
      ? post<T.Threshold>("/thresholds", rule.input)
      : put<T.Threshold>(`/thresholds/${rule.id}`, { ...rule.input, version: rule.version }),
  );

export const useDeleteThreshold = () => useRuleChange((id: number) => del(`/thresholds/${id}`));

export type PreviewInput = Pick<
  T.ThresholdInput,
  "metric" | "hosts" | "labels" | "transform" | "warning" | "critical" | "for_seconds"
>;

export const usePreview = (input: PreviewInput | null) =>
  useQuery({
    queryKey: ["preview", input],
    queryFn: ({ signal }) => call<T.Preview>("POST", "/thresholds/preview", input, signal),
    enabled: input !== null,
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 30_000,
  });

// Contacts and messages.

export const useContacts = (enabled = true) =>
  useQuery({
    queryKey: ["contacts"],
    queryFn: ({ signal }) => get<T.Items<T.Contact>>("/contacts", signal),
    enabled,
  });

export const useSaveContact = () =>
  useRuleChange((contact: { id?: number; input: T.ContactInput }) =>
    contact.id === undefined
      ? post<T.Contact>("/contacts", contact.input)
      : put<T.Contact>(`/contacts/${contact.id}`, contact.input),
  );

export const useDeleteContact = () => useRuleChange((id: number) => del(`/contacts/${id}`));

export const useTestContact = () =>
  useMutation({
    mutationFn: (test: { id: number; channel: T.Channel }) =>
      post<T.Notification>(`/contacts/${test.id}/test`, { channel: test.channel }),
  });

const settled = (n: T.Notification | undefined) => n !== undefined && (n.status === "sent" || n.status === "failed");

export const useNotification = (id: number | null) =>
  useQuery({
    queryKey: ["notification", id],
    queryFn: ({ signal }) => get<T.Notification>(`/notifications/${id}`, signal),
    enabled: id !== null,
    refetchInterval: (q) => (settled(q.state.data) ? false : 1_000),
  });

export const useNotifications = (filter: { limit?: number; status?: string }) =>
  useQuery({
    queryKey: ["notifications", filter],
    queryFn: ({ signal }) => get<T.Items<T.Notification>>(`/notifications${query(filter)}`, signal),
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
  });

export const useChannels = () =>
  useQuery({ queryKey: ["channels"], queryFn: ({ signal }) => get<T.Channels>("/channels", signal), staleTime: 60_000 });

// Failover.

// useHA is all of failover; of the transitions only those of the instances of that name, when one is given.
export const useHA = (instance: string) =>
  useQuery({
    queryKey: ["ha", instance],
    queryFn: ({ signal }) => get<T.HA>(`/ha${query({ instance: instance || undefined })}`, signal),
    placeholderData: keepPreviousData,
    refetchInterval: 5_000,
  });

// Administration.

export const useUsers = () =>
  useQuery({ queryKey: ["users"], queryFn: ({ signal }) => get<T.Items<T.User>>("/users", signal) });

export type UserInput = { name: string; full_name: string; role: T.Role; disabled: boolean; password: string };

function useUserChange<In, Out>(mutationFn: (input: In) => Promise<Out>) {
  const client = useQueryClient();
  return useMutation({ mutationFn, onSuccess: () => client.invalidateQueries({ queryKey: ["users"] }) });
}

export const useSaveUser = () =>
  useUserChange(({ id, input }: { id?: number; input: UserInput }) => {
    const { name, full_name, role, disabled, password } = input;
    if (id === undefined) return post<T.User>("/users", { name, full_name, role, password });
    return put<T.User>(`/users/${id}`, { full_name, role, disabled, ...(password === "" ? {} : { password }) });
  });

export const useDeleteUser = () => useUserChange((id: number) => del(`/users/${id}`));

export const useAudit = () =>
  useQuery({
    queryKey: ["audit"],
    queryFn: ({ signal }) => get<T.Items<T.AuditEntry>>("/audit?limit=500", signal),
    refetchInterval: 30_000,
  });

export const useAbout = () =>
  useQuery({ queryKey: ["about"], queryFn: ({ signal }) => get<T.About>("/about", signal), staleTime: 10 * 60_000 });
