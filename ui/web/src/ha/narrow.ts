import { useMediaQuery } from "@mantine/hooks";
import { usePhone } from "../kit/phone";

// useNarrow tells whether a table has rows of columns but little room for them, as on a tablet: then what belongs
// together shares one column. A phone has two-line rows and takes it apart again.
export function useNarrow(): boolean {
  const wide = useMediaQuery("(min-width: 1200px)", undefined, { getInitialValueInEffect: false });
  return !usePhone() && !wide;
}
