"""What a person sees and does on the console, in a real browser."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect
from world import SDL, World


def test_the_overview_shows_traffic_and_how_far_to_trust_it(page: Page) -> None:
    page.goto("/")
    expect(page).to_have_title("shop · Forebay")
    expect(page.get_by_label("Freshness and completeness")).to_contain_text("Complete")
    expect(page.get_by_label("In this window")).to_contain_text("745")
    expect(page.get_by_role("img", name="745 requests")).to_be_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Profile"))
    expect(row).to_contain_text("700")
    expect(row).to_contain_text("uses deprecated")


def test_asking_who_uses_a_field_leads_to_the_client_and_what_it_uses(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Who uses this element?").fill("User.email")
    page.get_by_role("button", name="Ask").first.click()
    answer = page.locator("#answer")
    expect(answer).to_contain_text("700 requests")
    answer.get_by_role("link", name="Android App 1.3.4").click()
    expect(answer).to_contain_text("What Android App 1.3.4 uses")
    expect(answer.get_by_role("rowheader", name="User.nick")).to_be_visible()


def test_a_field_that_is_misspelt_is_offered_right(page: Page) -> None:
    page.goto("/?coordinate=User.emial")
    page.locator("#answer").get_by_role("link", name="User.email").click()
    expect(page.locator("#answer")).to_contain_text("Profile")


def test_a_schema_can_be_checked(page: Page) -> None:
    page.goto("/")
    page.get_by_text("Would this schema break anyone?").click()
    page.get_by_label("New schema in SDL").fill(SDL.replace("  email: String\n", ""))
    page.get_by_role("button", name="Check against").click()
    expect(page.locator("#answer")).to_contain_text("Traffic of this window would break")
    page.locator("#answer").get_by_text("Why, and whom").first.click()
    expect(page.locator("#answer")).to_contain_text("Android App 1.3.4")


def test_what_nobody_uses_is_marked_in_the_schema(page: Page) -> None:
    page.goto("/")
    device = page.locator("details.type-use").filter(has_text="Device")
    device.locator("summary").click()
    expect(device.get_by_role("row").filter(has_text="serial")).to_contain_text("unused")
    user = page.locator("details.type-use").filter(has=page.locator("summary .name", has_text="User")).first
    user.locator("summary").click()
    expect(user.get_by_role("row").filter(has_text="nick")).to_contain_text("deprecated")


def test_a_name_that_is_a_script_is_only_text(page: Page) -> None:
    page.goto("/?coordinate=Role.ADMIN")
    expect(page.locator("#answer")).to_contain_text("<script>document.title='owned'</script>")
    assert page.title() == "shop · Forebay"


def test_everything_works_without_scripts(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("What does this client use?").fill("Android App")
    page.get_by_role("button", name="Ask").nth(1).click()
    expect(page.locator("#answer")).to_contain_text("User.email")
    page.get_by_role("link", name="24h").click()
    expect(page.get_by_label("In this window")).to_contain_text("145")
    context.close()


def test_news_appear_without_taking_away_what_a_person_types(page: Page, world: World) -> None:
    page.goto("/?window=1h")
    page.get_by_label("Who uses this element?").type("User.na")
    world.request("{ user(id: 1) { name } }", 1000, "late", "1", ago=60)
    world.load()
    page.evaluate("refresh()")
    expect(page.get_by_label("In this window")).to_contain_text("1,145")
    expect(page.get_by_label("Who uses this element?")).to_have_value("User.na")


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, viewport={"width": 360, "height": 740})
    page = context.new_page()
    for path in ("/", "/?coordinate=User.email", "/?client=Android+App"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def test_text_has_contrast_by_day_and_by_night(browser: Browser, address: str) -> None:
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3) for every piece of text."""
    for scheme in ("light", "dark"):
        context = browser.new_context(base_url=address, color_scheme=scheme)
        page = context.new_page()
        page.goto("/?coordinate=User.email")
        assert page.evaluate(FAINT_TEXT) == []
        context.close()


def test_every_input_has_a_label_and_every_table_its_headers(page: Page) -> None:
    page.goto("/?coordinate=User.email")
    unlabelled = """[...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
        .filter(each => !each.labels.length && !each.ariaLabel).length"""
    assert page.evaluate(unlabelled) == 0
    assert page.evaluate("""document.querySelectorAll("th:not([scope])").length""") == 0
    assert page.evaluate("""document.querySelectorAll("h1").length""") == 1


FAINT_TEXT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return rgba("Canvas");
  };
  const faint = new Set();
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!hasText || !element.checkVisibility() || element.closest(".skip, .sr, title, datalist")) continue;
    const text = luminance(rgba(getComputedStyle(element).color));
    const under = luminance(ground(element));
    const contrast = (Math.max(text, under) + 0.05) / (Math.min(text, under) + 0.05);
    if (contrast < 4.5) faint.add(element.outerHTML.slice(0, 120));
  }
  return [...faint];
}"""
