"""Many pictures as one job, asked for on the page and shown together."""

from playwright.sync_api import expect

from tests.browser.visitor import OpenPage, draw, field


def test_a_plot_is_shown_as_one_grid_with_its_pictures(open_page: OpenPage) -> None:
    """Vary the steps: the grid is on show, the single pictures stand below it."""
    page = open_page()
    page.locator("#txt2img_script_on input").check()
    field(page, "txt2img_script_x_values").fill("5-7")

    text = draw(page, "a red apple on a blue background", txt2img_seed="-1", txt2img_steps="2")

    assert "Script: X/Y/Z plot" in text
    assert "X Values: 5-7" in text
    grid = page.locator("#stage .picture.chosen img")
    shape = grid.evaluate("image => image.naturalWidth / image.naturalHeight")
    assert shape > 2
    page.locator("#stage .thumb").nth(1).click()
    expect(page.locator("#stage .picture.chosen .infotext")).to_contain_text("Seed: 5")
