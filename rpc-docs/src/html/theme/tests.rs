use super::*;

#[test]
fn any_accent_is_readable_on_light_and_dark_pages() {
    for accent in [
        BLACK,
        WHITE,
        Colour::rgb(255, 255, 0),
        Colour::rgb(0, 0, 255),
        Colour::rgb(0xff, 0x66, 0),
        Colour::default(),
    ] {
        let (light, dark) =
            (accent.towards_contrast(BLACK, WHITE), accent.towards_contrast(WHITE, DARK_GROUND));
        assert!(light.contrast(WHITE) >= CONTRAST_MIN, "{accent:?}");
        assert!(dark.contrast(DARK_GROUND) >= CONTRAST_MIN, "{accent:?}");
    }
}

#[test]
fn an_accent_that_is_readable_stays_as_it_is() {
    assert_eq!(Colour::default().towards_contrast(BLACK, WHITE), Colour::default());
}
