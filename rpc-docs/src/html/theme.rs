//! The look of the pages, as users choose it: title, logo, accent colour, custom pages.

/// The look of the pages. `Theme::default()` is complete.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Theme {
    /// The title at the top of each page; `None` for the API's own title.
    pub title: Option<String>,
    /// A small picture beside the title.
    pub logo: Option<Logo>,
    /// The colour of links and selected items. Shades for light and dark pages are derived from it.
    pub accent: Colour,
    /// Custom pages, which the navigation lists before the services.
    pub pages: Vec<Page>,
}

/// A custom page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The page's title, from which its file name is made.
    pub title: String,
    /// The page's text, in Markdown. Links like `[Room::history]` lead to services, methods and types.
    pub markdown: String,
}

/// A picture beside the title, shown 28 pixels high.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logo {
    /// The bytes of an SVG file. Scripts in it do not run.
    Svg(Vec<u8>),
    /// The bytes of a PNG file.
    Png(Vec<u8>),
}

impl Theme {
    /// The file of the API's icon: the logo, or else the default mark.
    pub(super) fn icon_file(&self) -> &'static str {
        self.logo.as_ref().map_or(MARK_FILE, Logo::file)
    }

    /// The default mark as an SVG, for an API without a logo: three calls that leave together, in the accent colour.
    pub(super) fn mark(&self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 24 24\"><rect width=\"24\" height=\"24\" rx=\"6\" \
             fill=\"{}\"/><path d=\"M5 8h5c5 0 4 8 9 8M5 12h14M5 16h5c5 0 4-8 9-8\" fill=\"none\" stroke=\"#fff\" \
             stroke-width=\"1.8\" stroke-linecap=\"round\"/></svg>\n",
            self.accent.towards_contrast(BLACK, WHITE).hex()
        )
    }
}

impl Logo {
    pub(super) fn file(&self) -> &'static str {
        match self {
            Self::Svg(_) => "logo.svg",
            Self::Png(_) => "logo.png",
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Svg(bytes) | Self::Png(bytes) => bytes,
        }
    }
}

/// A colour. The default is an indigo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    red: u8,
    green: u8,
    blue: u8,
}

impl Default for Colour {
    fn default() -> Self {
        Self::rgb(0x4f, 0x46, 0xe5)
    }
}

/// The file of the mark.
pub(super) const MARK_FILE: &str = "mark.svg";

/// The minimum contrast of the accent: more than the 4.5 that text needs, because it is also used on tinted ground.
const CONTRAST_MIN: f64 = 5.6;
const WHITE: Colour = Colour::rgb(255, 255, 255);
const BLACK: Colour = Colour::rgb(0, 0, 0);
/// The lightest background of dark pages.
const DARK_GROUND: Colour = Colour::rgb(0x1c, 0x20, 0x27);

impl Colour {
    /// A colour from its red, green and blue parts.
    pub const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue }
    }

    /// The CSS variables of the accent: a shade for light pages and one for dark ones.
    pub(super) fn variables(self) -> String {
        let light = self.towards_contrast(BLACK, WHITE);
        let dark = self.towards_contrast(WHITE, DARK_GROUND);
        format!(":root{{--accent-light:{};--accent-dark:{}}}\n", light.hex(), dark.hex())
    }

    /// The nearest shade, on the way to black or white, that is readable on this ground.
    pub(super) fn towards_contrast(self, end: Self, ground: Self) -> Self {
        (0..=100)
            .step_by(4)
            .map(|percent| self.mixed(end, percent))
            .find(|shade| shade.contrast(ground) >= CONTRAST_MIN)
            .unwrap_or(end)
    }

    fn mixed(self, other: Self, percent: u32) -> Self {
        let mix = |one: u8, other: u8| {
            let sum = u32::from(one) * (100 - percent) + u32::from(other) * percent;
            u8::try_from(sum / 100).unwrap_or(u8::MAX)
        };
        Self::rgb(mix(self.red, other.red), mix(self.green, other.green), mix(self.blue, other.blue))
    }

    /// The contrast ratio of WCAG.
    pub(super) fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }

    fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

#[cfg(test)]
mod tests;
