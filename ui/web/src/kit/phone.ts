import { useSyncExternalStore } from "react";

// Below this width tables become two-line rows and the navigation moves under the thumb. base.css has the same number.
const media = typeof matchMedia === "function" ? matchMedia("(max-width: 719.98px)") : null;

export const usePhone = () =>
  useSyncExternalStore(
    (listener) => {
      media?.addEventListener("change", listener);
      return () => media?.removeEventListener("change", listener);
    },
    () => media?.matches ?? false,
  );
