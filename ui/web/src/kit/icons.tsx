// The icons, drawn here: a handful of shapes does not need a library.
import type { ReactNode, SVGProps } from "react";

function icon(children: ReactNode) {
  return function Icon(props: SVGProps<SVGSVGElement>) {
    return (
      <svg
        viewBox="0 0 16 16"
        width="1em"
        height="1em"
        fill="none"
        stroke="currentColor"
        strokeWidth={1.6}
        strokeLinecap="round"
        strokeLinejoin="round"
        aria-hidden="true"
        {...props}
      >
        {children}
      </svg>
    );
  };
}

// The states: the outline alone tells them apart.
export const OkIcon = icon(<><circle cx="8" cy="8" r="6.2" /><path d="m5.200 8.200 2 2 3.600-4.200" /></>);
export const WarningIcon = icon(<><path d="M8 2 14.500 13.500h-13z" /><path d="M8 6.500v3.200M8 11.600v.01" /></>);
export const CriticalIcon = icon(<><path d="M5.400 1.800h5.200l3.600 3.600v5.200l-3.600 3.600H5.400l-3.600-3.600V5.400z" /><path d="m5.900 5.900 4.200 4.200m0-4.200-4.200 4.200" /></>);
export const UnknownIcon = icon(<><path d="m8 1.600 6.400 6.400L8 14.400 1.600 8z" /><path d="M6.600 6.600A1.500 1.500 0 1 1 8 8.500M8 10.700v.01" /></>);
export const AcknowledgedIcon = icon(<><circle cx="6.500" cy="5" r="2.600" /><path d="M1.800 13.600c.3-2.700 2.200-4.300 4.700-4.300 1 0 1.900.3 2.700.7M9.800 12.400l1.600 1.600 3-3.400" /></>);
export const StaleIcon = icon(<><circle cx="8" cy="8" r="6.200" /><path d="M8 4.600V8l2.300 1.600" /></>);
export const DownIcon = icon(<><circle cx="8" cy="8" r="6.200" /><path d="M8 4.800v6M5.600 8.600 8 11l2.400-2.400" /></>);
export const UpIcon = icon(<><circle cx="8" cy="8" r="6.200" /><path d="M8 11.200v-6M5.600 7.400 8 5l2.400 2.400" /></>);
export const StandbyIcon = icon(<><circle cx="8" cy="8" r="6.200" /><path d="M6.400 5.800v4.400M9.600 5.800v4.400" /></>);
export const OffIcon = icon(<><circle cx="8" cy="8" r="6.200" /><path d="m3.800 12.200 8.400-8.400" /></>);

// Places.
export const OverviewIcon = icon(<path d="M1.800 8h3l1.600-4.500 3 9L11.200 8h3" />);
export const AlertsIcon = icon(<><path d="M3.400 11.500h9.200c-1-1-1.300-2.200-1.300-4.200C11.300 5 10 3.400 8 3.400S4.700 5 4.700 7.300c0 2-.3 3.200-1.300 4.200z" /><path d="M6.800 13.700a1.300 1.300 0 0 0 2.400 0" /></>);
export const HostsIcon = icon(<><rect x="2" y="2.600" width="12" height="4.600" rx="1" /><rect x="2" y="8.800" width="12" height="4.600" rx="1" /><path d="M4.600 4.900v.01M4.600 11.100v.01" /></>);
export const ThresholdsIcon = icon(<><path d="M1.800 5.500h12.400" strokeDasharray="2.200 1.800" /><path d="m1.800 12 3.400-3 2.600 1.800L11 3.400l3.200 6" /></>);
export const ContactsIcon = icon(<><rect x="1.800" y="3.400" width="12.400" height="9.200" rx="1" /><path d="m2.200 4.200 5.800 4.600 5.800-4.600" /></>);
export const HAIcon = icon(<><circle cx="4" cy="4.200" r="2" /><circle cx="12" cy="4.200" r="2" /><circle cx="8" cy="12" r="2" /><path d="M5 6l2 4.200M11 6l-2 4.200M6 4.200h4" /></>);
export const EventsIcon = icon(<path d="M5.600 3.600h8.600M5.600 8h8.600M5.600 12.400h8.600M2 3.600h.01M2 8h.01M2 12.400h.01" />);
export const PeopleIcon = icon(<><circle cx="6" cy="5.200" r="2.400" /><path d="M1.600 13.200c.2-2.600 2-4 4.400-4s4.200 1.400 4.400 4M10.600 3.200a2.200 2.200 0 0 1 0 4.200M12.200 9.600c1.300.6 2 1.900 2.200 3.600" /></>);
export const AuditIcon = icon(<><path d="M3.400 1.900h6.200l3 3v9.200H3.400z" /><path d="M5.800 7h4.400M5.800 9.400h4.400M5.800 11.700h2.600" /></>);
export const ProfileIcon = icon(<><circle cx="8" cy="5.400" r="2.800" /><path d="M2.600 14c.3-3 2.500-4.600 5.400-4.600s5.100 1.600 5.400 4.600" /></>);
export const MoreIcon = icon(<path d="M2.600 4h10.800M2.600 8h10.800M2.600 12h10.800" />);

// Actions.
export const SearchIcon = icon(<><circle cx="7" cy="7" r="4.600" /><path d="m10.600 10.600 3.400 3.400" /></>);
export const CloseIcon = icon(<path d="m4 4 8 8m0-8-8 8" />);
export const SortUpIcon = icon(<path d="M8 12.500v-9M4.800 6.600 8 3.500l3.200 3.100" />);
export const SortDownIcon = icon(<path d="M8 3.500v9M4.800 9.400 8 12.500l3.200-3.100" />);
export const LightIcon = icon(<><circle cx="8" cy="8" r="2.800" /><path d="M8 1.600v1.300M8 13.100v1.300M1.600 8h1.300M13.100 8h1.300M3.500 3.500l.9.9M11.600 11.600l.9.9M3.500 12.500l.9-.9M11.600 4.400l.9-.9" /></>);
export const DarkIcon = icon(<path d="M13.600 9.600A6 6 0 0 1 6.400 2.400a6 6 0 1 0 7.200 7.200z" />);
export const AutoIcon = icon(<><circle cx="8" cy="8" r="6" /><path d="M8 2v12a6 6 0 0 0 0-12z" fill="currentColor" stroke="none" /></>);
export const BackIcon = icon(<path d="M9.800 3.200 5 8l4.800 4.800" />);
export const LaterIcon = icon(<path d="M6.200 3.200 11 8l-4.800 4.800" />);
