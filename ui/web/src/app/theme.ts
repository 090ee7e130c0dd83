// The look of the kit, bent to ours: neutral ink for actions, because colour means state; small type; little rounding.
import { createTheme, virtualColor, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";

const ink: MantineColorsTuple = [
  "#f5f6f8", "#e8ebee", "#e2e6eb", "#c3c9d1", "#98a3af", "#6d7986", "#4a5562", "#343e4a", "#262f3a", "#1b222b",
];

const dark: MantineColorsTuple = [
  "#e4e8ed", "#b0bac5", "#95a0ad", "#5d6875", "#3d4854", "#29313a", "#1c232a", "#171c22", "#11151a", "#0c0f13",
];

const latin = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans"';
const chinese = '"PingFang SC", "Hiragino Sans GB", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei"';

export const theme = createTheme({
  fontFamily: `${latin}, ${chinese}, sans-serif`,
  fontFamilyMonospace: `ui-monospace, "SF Mono", "Cascadia Mono", "Liberation Mono", "DejaVu Sans Mono", ${chinese}, monospace`,
  fontSizes: { xs: "12px", sm: "13px", md: "14px", lg: "16px", xl: "20px" },
  spacing: { xs: "4px", sm: "8px", md: "12px", lg: "16px", xl: "24px" },
  radius: { xs: "2px", sm: "4px", md: "4px", lg: "6px", xl: "8px" },
  defaultRadius: "sm",
  // An action is dark on light and light on dark.
  colors: { ink, dark, action: virtualColor({ name: "action", light: "ink", dark: "ink" }) },
  primaryColor: "action",
  primaryShade: { light: 9, dark: 2 },
  autoContrast: true,
  cursorType: "pointer",
  components: {
    TextInput: { defaultProps: { size: "sm" } },
    Textarea: { defaultProps: { size: "sm" } },
    Select: { defaultProps: { size: "sm", allowDeselect: false, withCheckIcon: false } },
    Button: { defaultProps: { size: "sm" } },
    Modal: { defaultProps: { radius: "lg", transitionProps: { duration: 100 }, padding: "lg" } },
    Menu: { defaultProps: { transitionProps: { duration: 0 } } },
    Popover: { defaultProps: { transitionProps: { duration: 0 } } },
    Tooltip: { defaultProps: { transitionProps: { duration: 0 }, openDelay: 300 } },
  },
});

// The kit's surfaces, lines and error colours are those of base.css.
export const variables: CSSVariablesResolver = () => {
  const both = {
    "--mantine-color-body": "var(--canvas)",
    "--mantine-color-text": "var(--ink)",
    "--mantine-color-dimmed": "var(--ink-3)",
    "--mantine-color-placeholder": "var(--ink-3)",
    "--mantine-color-default": "var(--surface)",
    "--mantine-color-default-hover": "var(--hover)",
    "--mantine-color-default-color": "var(--ink)",
    "--mantine-color-default-border": "var(--line-strong)",
    "--mantine-color-error": "var(--critical)",
    "--mantine-color-red-filled": "var(--critical-strong)",
    "--mantine-color-red-filled-hover": "var(--critical-strong)",
  };
  const contrast = "--mantine-color-action-contrast";
  return { variables: {}, light: { ...both, [contrast]: "#ffffff" }, dark: { ...both, [contrast]: "#11151a" } };
};
