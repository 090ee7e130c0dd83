// The addresses of the app. Pages that few open, or only later, are loaded when they are.
import { createBrowserRouter, type RouteObject } from "react-router";
import { Shell } from "./Shell";
import { Lost, NotFound } from "./NotFound";

const pages: RouteObject[] = [
  { index: true, lazy: async () => ({ Component: (await import("../overview/OverviewPage")).OverviewPage }) },
  { path: "alerts", lazy: async () => ({ Component: (await import("../alerts/AlertsPage")).AlertsPage }) },
  { path: "alerts/:id", lazy: async () => ({ Component: (await import("../alerts/AlertPage")).AlertPage }) },
  { path: "hosts", lazy: async () => ({ Component: (await import("../hosts/HostsPage")).HostsPage }) },
  { path: "hosts/:cluster/:name", lazy: async () => ({ Component: (await import("../hosts/HostPage")).HostPage }) },
  { path: "metrics/:name", lazy: async () => ({ Component: (await import("../hosts/MetricPage")).MetricPage }) },
  { path: "thresholds", lazy: async () => ({ Component: (await import("../thresholds/ThresholdsPage")).ThresholdsPage }) },
  { path: "thresholds/new", lazy: async () => ({ Component: (await import("../thresholds/ThresholdPage")).ThresholdPage }) },
  { path: "thresholds/:id", lazy: async () => ({ Component: (await import("../thresholds/ThresholdPage")).ThresholdPage }) },
  { path: "contacts", lazy: async () => ({ Component: (await import("../contacts/ContactsPage")).ContactsPage }) },
  { path: "contacts/new", lazy: async () => ({ Component: (await import("../contacts/ContactPage")).ContactPage }) },
  { path: "contacts/:id", lazy: async () => ({ Component: (await import("../contacts/ContactPage")).ContactPage }) },
  { path: "ha", lazy: async () => ({ Component: (await import("../ha/HAPage")).HAPage }) },
  { path: "events", lazy: async () => ({ Component: (await import("../events/EventsPage")).EventsPage }) },
  { path: "users", lazy: async () => ({ Component: (await import("../people/UsersPage")).UsersPage }) },
  { path: "users/new", lazy: async () => ({ Component: (await import("../people/UserPage")).UserPage }) },
  { path: "users/:id", lazy: async () => ({ Component: (await import("../people/UserPage")).UserPage }) },
  { path: "audit", lazy: async () => ({ Component: (await import("../people/AuditPage")).AuditPage }) },
  { path: "profile", lazy: async () => ({ Component: (await import("../people/ProfilePage")).ProfilePage }) },
  { path: "*", Component: NotFound },
];

export const makeRouter = () =>
  createBrowserRouter([{ path: "/", Component: Shell, ErrorBoundary: Lost, HydrateFallback: () => null, children: pages }]);
