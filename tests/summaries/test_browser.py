"""The attention in TensorBoard's page, in a real browser."""

import math
import os
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from summaries import write_attention

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1400",
)

# What the cards of the page show: for each tag the kind of card, the width of
# its picture or drawing, and its text.
CARDS = """
const cards = {};
for (const card of document.querySelectorAll('scalar-card, image-card')) {
  const tag = card.querySelector('tb-truncated-path');
  const image = card.querySelector('img');
  const drawing = card.querySelector('line-chart');
  if (!tag || !card.checkVisibility()) continue;
  cards[tag.title] = {
    kind: card.localName,
    width: image ? image.naturalWidth : drawing ? drawing.clientWidth : 0,
    text: card.innerText,
  };
}
return cards;
"""


@pytest.fixture
def browser(tmp_path):
    if not (CHROMIUM and DRIVER):
        message = (
            "The test of the TensorBoard page needs chromium and "
            "chromedriver (Debian: apt-get install chromium chromium-driver)."
        )
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    # With the path given, selenium downloads no driver.
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def tensorboard(tmp_path):
    """Runs TensorBoard on `tmp_path / "logs"`; gives its address."""
    log_path = tmp_path / "tensorboard.log"
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        f"--logdir={tmp_path / 'logs'}",
        "--host=127.0.0.1",
        "--port=0",
    ]
    with log_path.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield _address(process, log_path)
    finally:
        process.terminate()
        process.wait(30)


def _address(process, log_path):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+/", log_path.read_text())
        if found:
            return found[0]
        time.sleep(0.2)
    return pytest.fail(f"TensorBoard did not start: {log_path.read_text()}")


@pytest.fixture
def logs(tmp_path):
    """Five steps in which attention learns a diagonal."""
    writer = tf.summary.create_file_writer(str(tmp_path / "logs"))
    tokens = ["Am", "$3", "<b>mars</b>", "</s>"], ["on", "mars", "3", "rd", "."]
    for step in range(5):
        logits = step * np.eye(4, 5)[None, None]
        scores = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        write_attention(
            writer,
            {"decoder/cross": scores},
            ([tokens[0]], [tokens[1]]),
            step,
        )
    writer.close()


def test_scalars_and_maps_are_seen(browser, logs, tensorboard, tmp_path):
    # On the diagonal of step 4, beside four weights of e^0.
    weight = math.exp(4) / (math.exp(4) + 4)
    expected = {
        "attention/entropy/decoder/cross": ("scalar-card", "Value"),
        "attention/max_weight/decoder/cross": (
            "scalar-card",
            f"{weight:.4f}",
        ),
        "attention/padding_leak/decoder/cross": ("scalar-card", "Value"),
        "attention/maps/decoder/cross": ("image-card", "Step 4"),
    }

    def all_is_seen(driver):
        cards = driver.execute_script(CARDS)
        return cards.keys() == expected.keys() and all(
            cards[tag]["kind"] == kind
            and cards[tag]["width"] > 100
            and text in cards[tag]["text"]
            for tag, (kind, text) in expected.items()
        )

    browser.get(f"{tensorboard}#timeseries")
    try:
        WebDriverWait(browser, 120).until(all_is_seen, f"All of {expected}")
    finally:
        browser.save_screenshot(str(tmp_path / "tensorboard.png"))
