// What surrounds all pages: theme, queries, addresses, session.
import { localStorageColorSchemeManager, MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { useState } from "react";
import { RouterProvider } from "react-router";
import { newQueryClient } from "../api/queries";
import { Toasts } from "../kit/toast";
import { makeRouter } from "./routes";
import { theme, variables } from "./theme";

const schemes = localStorageColorSchemeManager({ key: "keepwatch.scheme" });

export function App() {
  const [queries] = useState(newQueryClient);
  const [router] = useState(makeRouter);
  return (
    <MantineProvider theme={theme} cssVariablesResolver={variables} colorSchemeManager={schemes} defaultColorScheme="auto">
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
        <Toasts />
      </QueryClientProvider>
    </MantineProvider>
  );
}
