// The mark: an eye whose pupil is a heartbeat.
export function Logo({ size = 20 }: { size?: number }) {
  return (
    <svg viewBox="0 0 32 32" width={size} height={size} fill="none" stroke="currentColor" strokeLinejoin="round" strokeLinecap="round" aria-hidden="true">
      <path d="M3 16C6.900 9.800 11 7 16 7s9.100 2.800 13 9c-3.900 6.200-8 9-13 9S6.900 22.200 3 16z" strokeWidth="2.400" />
      <path d="M8.500 16H12l2.300-4.600 2.900 9.200 2.100-4.600h4.200" strokeWidth="2.200" />
    </svg>
  );
}
