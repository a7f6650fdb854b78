"""What is asked of a generator or a video-language model: which model a name means."""

import pytest

from flopcount.core.errors import InputError
from flopcount.pipelines.jobs_of_models import ModelJob


def test_a_known_name_is_that_model_whatever_lies_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "allegro").write_text("notes about a concert")
    assert ModelJob.of("allegro").sizes.hub_id == "rhymes-ai/Allegro"
    with pytest.raises(InputError):
        ModelJob.of("./allegro")


def test_a_name_that_is_not_known_may_be_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="mine"):  # without its configuration
        ModelJob.of("mine")
    with pytest.raises(InputError, match="no generator or video-language model named 'others'"):
        ModelJob.of("others")
