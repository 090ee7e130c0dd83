// The places of the app, in the order of the navigation, with the key that follows "g".
import type { ComponentType, SVGProps } from "react";
import type { Role } from "../api/types";
import {
  AlertsIcon, AuditIcon, ContactsIcon, EventsIcon, HAIcon, HostsIcon, OverviewIcon, PeopleIcon, ProfileIcon, ThresholdsIcon,
} from "../kit/icons";

export type Place = {
  to: string;
  word: string; // key of its name
  key: string;
  icon: ComponentType<SVGProps<SVGSVGElement>>;
  role: Role;
  thumb?: boolean; // in the bar of a phone
};

export const places: Place[] = [
  { to: "/", word: "nav.overview", key: "o", icon: OverviewIcon, role: "viewer", thumb: true },
  { to: "/alerts", word: "nav.alerts", key: "a", icon: AlertsIcon, role: "viewer", thumb: true },
  { to: "/hosts", word: "nav.hosts", key: "h", icon: HostsIcon, role: "viewer", thumb: true },
  { to: "/ha", word: "nav.ha", key: "f", icon: HAIcon, role: "viewer", thumb: true },
  { to: "/events", word: "nav.events", key: "e", icon: EventsIcon, role: "viewer" },
  { to: "/thresholds", word: "nav.thresholds", key: "t", icon: ThresholdsIcon, role: "viewer" },
  { to: "/contacts", word: "nav.contacts", key: "c", icon: ContactsIcon, role: "viewer" },
  { to: "/users", word: "nav.users", key: "u", icon: PeopleIcon, role: "admin" },
  { to: "/audit", word: "nav.audit", key: "l", icon: AuditIcon, role: "admin" },
  { to: "/profile", word: "nav.profile", key: "p", icon: ProfileIcon, role: "viewer" },
];
