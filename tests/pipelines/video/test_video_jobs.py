"""The whole job of a video: every stage as often as it runs, for classifiers, detectors, flow and streams."""

import json

import pytest
from videos import example, write_video

from flopcount import count_model, count_video, create_model, streaming
from flopcount.core.errors import InputError, UnknownNameError

C3D = 38_548_959_232  # MACs of a clip of 16×112×112


@pytest.fixture(scope="module")
def forty(tmp_path_factory):
    """40 frames of 64×48 at 25 per second, so 1.6 s, with a key frame every ten."""
    return example(tmp_path_factory.mktemp("videos") / "forty.mp4", 40)


def stages(job):
    return {stage.name: (job.pipeline.times[stage.name], stage.report.total.macs) for stage in job.pipeline.stages}


def small(name, clip):
    return count_model(name, clip=clip).macs


def test_a_job_by_hand(forty):
    """C3D as it was tested, ten clips and one crop: 24 places between the first and the last, so all frames."""
    job = count_video(forty, "c3d")
    assert [clip[0] for clip in job.plan.clips] == [24 * k // 9 for k in range(10)]
    assert stages(job) == {"resize": (40, 0), "network": (10, C3D)}
    assert job.plan.size == (112, 149)  # 64 · 112 / 48 = 149.3
    assert job.macs == 10 * C3D
    assert job.plan.decoding.frames == 40
    per = {row.words: row.total.macs for row in job.pipeline.per_units}
    assert per == {
        "video": 10 * C3D,
        "second of video": 10 * C3D * 5 // 8,
        "hour of video": 10 * C3D * 3600 * 5 // 8,
        "view": C3D,
    }


@pytest.mark.parametrize(
    ("name", "clip", "views"), [("x3d_xs", "4x32x32", 6), ("tsm_r50", "4x33x33", 6), ("toy_3d_cnn", "4x16x16", 6)]
)
def test_the_network_runs_once_a_view(forty, name, clip, views):
    job = count_video(forty, name, clip=clip, views="2x3")
    assert stages(job)["network"] == (views, small(name, clip))
    assert job.macs == views * small(name, clip)


def test_stages_sum_to_the_job(forty):
    job = count_video(forty, "c3d", batch=4)
    parts = [job.pipeline.part(stage.name) for stage in job.pipeline.stages]
    for name in ("macs", "other_flops", "bytes_read", "bytes_written"):
        assert sum(part[name] for part in parts) == job.pipeline.total[name] > 0
    rows, total = job.table().rows, job.table().total
    at = [column.key or column.name for column in job.table().columns].index("macs")
    assert sum(row[at] for row in rows if row[at] != "") == total[at] == 10 * C3D


@pytest.mark.parametrize(
    ("batch", "passes"),
    [(None, {"network": (10, 1)}), (5, {"network": (2, 5)}), (4, {"network": (2, 4), "last batch": (1, 2)})],
)
def test_views_that_are_left_make_a_smaller_batch(forty, batch, passes):
    job = count_video(forty, "c3d", batch=batch)
    found = {name: row for name, row in stages(job).items() if name != "resize"}
    assert found == {name: (times, size * C3D) for name, (times, size) in passes.items()}
    assert job.pipeline.params == count_model("c3d").params


def test_a_batch_larger_than_all_views_is_all_views(forty):
    job = count_video(forty, "c3d", batch=64)
    assert stages(job)["network"] == (1, 10 * C3D)
    assert "last batch" not in stages(job)


def test_the_resize_is_paid_once_a_frame_and_not_once_a_clip(forty):
    job = count_video(forty, "toy_3d_cnn", clip="4x16x16", hop=1)
    assert len(job.plan.clips) == 37
    assert job.pipeline.times["resize"] == 40
    assert stages(job)["network"] == (37, small("toy_3d_cnn", "4x16x16"))


def test_views_that_nobody_gave_are_those_of_the_published_accuracy(forty):
    job = count_video(forty, "x3d_xs", clip="4x32x32")
    assert str(job.plan.views) == "10×3"
    assert any("10×3, those of its accuracy on kinetics400 (" in note for note in job.pipeline.notes)
    untested = count_video(forty, "toy_3d_cnn", clip="4x16x16")
    assert str(untested.plan.views) == "1×1"
    assert any(note.startswith("views: one clip in the middle") for note in untested.pipeline.notes)


def test_a_network_tested_on_segments_takes_segments(forty):
    """TSM R101 on 40 frames: four parts of ten, of which the middles are 5, 15, 25 and 35."""
    job = count_video(forty, "tsm_r101", clip="4x33x33", views="1x1")
    assert job.plan.clips == ((5, 15, 25, 35),)
    dense = count_video(forty, "tsm_r101", clip="4x33x33", views="1x1", sampling="dense")
    assert dense.plan.clips == ((7, 15, 23, 31),)  # every eighth, with 15 left, 7 of them before
    assert job.macs == dense.macs


@pytest.mark.slow
def test_a_network_that_takes_neighbours_takes_five_of_each_segment(forty):
    """TDN on two segments: of 36 places the middles of the halves are 9 and 27."""
    job = count_video(forty, "tdn_r50", clip="10x64x64", views="1x1")
    assert job.plan.clips == ((*range(9, 14), *range(27, 32)),)


def test_another_stride_and_another_rate(forty):
    job = count_video(forty, "toy_3d_cnn", clip="4x16x16", views="1x1", stride=5)
    assert job.plan.clips == ((12, 17, 22, 27),)
    slower = count_video(forty, "toy_3d_cnn", clip="4x16x16", views="1x1", fps=5)  # 8 frames, each of five
    assert slower.plan.clips == ((10, 15, 20, 25),)


def test_a_video_shorter_than_a_clip_says_so(tmp_path):
    job = count_video(example(tmp_path / "short.mp4", 5), "c3d", views=1)
    assert job.plan.clips == ((0, 1, 2, 3, 4, *[4] * 11),)
    assert job.pipeline.times["resize"] == 5
    assert any(
        "5 frames are fewer than a clip spans; its last frame is repeated" in note for note in job.pipeline.notes
    )


def test_frames_after_the_last_clip_are_named(forty):
    job = count_video(forty, "c3d", hop=10)
    assert [clip[0] for clip in job.plan.clips] == [0, 10, 20]
    assert any("its last 4 frames are in no clip" in note for note in job.pipeline.notes)


def test_a_turned_video_is_resized_as_it_is_shown(tmp_path):
    path = write_video(tmp_path / "turned.mp4", 20, rotation=90)
    assert count_video(path, "c3d", views=1).plan.size == (149, 112)


def test_alpha_is_said_to_be_left_out(tmp_path):
    path = write_video(tmp_path / "alpha.mov", 20, codec="qtrle", pixels="argb")
    notes = count_video(path, "c3d", views=1).pipeline.notes
    assert any("its alpha channel is decoded and not used" in note for note in notes)


# Optical flow


@pytest.mark.slow
def test_flow_is_computed_once_a_pair_at_the_resized_size(forty):
    """Two-stream: ten fields beside frame 14, between frames of 64×85."""
    job = count_video(forty, "two_stream", clip="11x64x64", flow="tvl1")
    assert job.plan.clips == ((14,),)
    assert job.plan.pairs == job.pipeline.times["flow"] == 10
    assert job.pipeline.times["resize"] == 11
    assert job.pipeline.part("flow").other_flops == 10 * count_model("optical_flow_tvl1", clip="2x64x85").other_flops
    assert stages(job)["network"] == (1, small("two_stream", "11x64x64"))


def test_raft_is_padded_to_8(forty):
    """128×170 of a crop of 128 becomes 128×176; two clips share no field."""
    job = count_video(forty, "two_stream", clip="11x128x128", flow="raft_small", views="2x1")
    assert job.plan.size == (128, 170)
    assert stages(job)["flow"] == (20, small("raft_small", "2x128x176"))


def test_pwc_net_is_padded_to_64(forty):
    job = count_video(forty, "two_stream_i3d", clip="8x64x64", flow="pwc_net")
    assert job.plan.size == (64, 85)
    assert stages(job)["flow"] == (8, small("pwc_net", "2x64x128"))
    assert len(job.plan.decoding.wanted) == 9


@pytest.mark.slow
def test_clips_of_flow_share_the_fields_that_they_share(forty):
    job = count_video(forty, "two_stream_i3d", clip="8x32x32", flow="tvl1", hop=4)
    assert [clip[0] for clip in job.plan.clips] == list(range(0, 32, 4))
    assert job.plan.pairs == 36  # 0 to 36, each once, not eight times eight


@pytest.mark.slow
def test_flow_that_nobody_chose_is_that_of_the_papers(forty):
    job = count_video(forty, "two_stream_i3d", clip="8x32x32")
    assert [stage.model for stage in job.pipeline.stages][1] == "optical_flow_tvl1"
    assert any(note.startswith("flow: tvl1, as nobody chose another") for note in job.pipeline.notes)


def test_flow_too_small_for_its_network_says_what_it_is_about(forty):
    with pytest.raises(InputError) as caught:
        count_video(forty, "two_stream_i3d", clip="8x32x32", flow="raft_small")
    assert ("in", "flow of frames 32×42") in caught.value.details


# Detection, recurrent and streaming networks


def test_a_detector_sees_a_clip_every_second(tmp_path):
    """100 frames at 25 per second, clips of 4 frames 8 apart: they begin at 0, 25, 50 and 75, which is the last."""
    job = count_video(example(tmp_path / "four_seconds.mp4", 100), "slow_r50_4x16_ava", clip="4x64x64", stride=8)
    assert [clip[0] for clip in job.plan.clips] == [0, 25, 50, 75]
    assert stages(job)["network"] == (4, small("slow_r50_4x16_ava", "4x64x64"))
    assert any("a clip every second, as AVA is labelled; 1 box in each" in note for note in job.pipeline.notes)
    more = count_video(tmp_path / "four_seconds.mp4", "slow_r50_4x16_ava", clip="4x64x64", stride=8, views="2x1")
    assert len(more.plan.clips) == 2


def test_a_recurrent_network_on_clips_and_online(forty):
    """CNN-LSTM: a step is a third of a clip of three, so that 37 more frames cost 37 thirds."""
    whole = small("cnn_lstm", "3x49x49")
    clips = count_video(forty, "cnn_lstm", clip="3x49x49", views=2)
    assert stages(clips) == {"resize": (6, 0), "network": (2, whole)}
    online = count_video(forty, "cnn_lstm", clip="3x49x49", online=True)
    assert stages(online) == {"resize": (40, 0), "first clip": (1, whole), "step": (37, whole // 3)}
    assert online.macs == whole + 37 * (whole // 3)
    assert online.plan.clips == (tuple(range(40)),)
    assert online.pipeline.params == clips.pipeline.params


@pytest.mark.slow
def test_a_streaming_network_online_is_its_first_clip_and_its_steps(forty):
    """Every fifth of 40 frames: eight, of which four are the first clip."""
    online = count_video(forty, "movinet_a0_stream", clip="4x32x32", online=True)
    steps = streaming(create_model("movinet_a0_stream", clip="4x32x32").eval(), (1, 3, 4, 32, 32))
    assert online.plan.clips == (tuple(range(0, 40, 5)),)
    assert stages(online)["first clip"] == (1, small("movinet_a0_stream", "4x32x32"))
    assert stages(online)["step"] == (4, steps.step.macs)


def test_a_video_as_long_as_the_first_clip_has_no_steps(tmp_path):
    path = example(tmp_path / "three.mp4", 3)
    assert [*stages(count_video(path, "cnn_lstm", clip="3x49x49", online=True))] == ["resize", "first clip"]


def test_a_shorter_video_ends_within_the_first_clip(tmp_path):
    """A network that looks back at all frames makes no more of two frames than two steps."""
    path = example(tmp_path / "two.mp4", 2)
    job = count_video(path, "cnn_lstm", clip="3x49x49", online=True)
    assert job.pipeline.times["resize"] == 2
    assert stages(job)["first clip"] == (1, 2 * small("cnn_lstm", "3x49x49") // 3)


# What is refused


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"model": "c3d", "flow": "raft"}, "c3d takes no optical flow"),
        ({"model": "c3d", "online": True}, "c3d has no step for new frames"),
        ({"model": "stgcn"}, "stgcn takes skeletons, not frames"),
        ({"model": "c3d", "hop": 2, "views": "2x1"}, "both say where clips are"),
        ({"model": "c3d", "hop": 0}, "hop is 0"),
        ({"model": "tsm_r101", "hop": 2, "sampling": "segments"}, "so there is no hop between clips"),
        ({"model": "cnn_lstm", "online": True, "hop": 2}, "and --hop says where clips are"),
        ({"model": "cnn_lstm", "online": True, "views": 2}, "and --views says where clips are"),
        ({"model": "cnn_lstm", "online": True, "sampling": "dense"}, "and --sampling says where clips are"),
        ({"model": "c3d", "resize": "short=100"}, "is resized to too little"),
        ({"model": "c3d", "resize": "small"}, "is no size"),
        ({"model": "cnn_lstm", "online": True, "batch": 2}, "and --batch 2 is of clips"),
        ({"model": "tsm_r101", "stride": 2}, "and --stride is of dense clips"),
    ],
)
def test_what_excludes_each_other_or_does_not_fit_is_refused(forty, asked, message):
    with pytest.raises(InputError, match=message) as caught:
        count_video(forty, **asked)
    assert dict(caught.value.details)["fix"]


@pytest.mark.parametrize(
    "asked", [{"model": "c3"}, {"model": "c3d", "flow": "lk"}, {"model": "c3d", "sampling": "all"}]
)
def test_unknown_names_are_refused(forty, asked):
    with pytest.raises(UnknownNameError):
        count_video(forty, **asked)


def test_crops_of_a_hop(forty):
    job = count_video(forty, "c3d", hop=12, views="1x3")
    assert stages(job)["network"] == (9, C3D)


# Data


def test_json_has_the_plan_among_the_facts_of_the_job(forty):
    job = count_video(forty, "c3d", views="1x3")
    told = json.loads(job.to_json())
    facts = told["facts"]
    assert told["total"]["macs"] == 3 * C3D
    assert facts["clips"] == [list(range(12, 28))]
    assert facts["views"] == {"clips": 1, "crops": 3}
    assert facts["decode"]["frames"] == 18  # 10 .. 27
    assert facts["decode"]["wanted_frames"] == 16
    assert facts["decode"]["stretches"] == [[10, 19], [20, 27]]
    assert facts["decode"]["pixels"] == 18 * 64 * 48
    assert facts["seconds_per_clip"] == 0.64
    assert facts["clip_bytes"] == {"uint8": 16 * 3 * 48 * 64, "float32": 16 * 3 * 112 * 112 * 4}
    assert facts["video"]["key_frames"] == [0, 10, 20, 30]
    assert facts["video"]["codec"] == "h264"


def test_a_job_shows_itself(forty):
    job = count_video(forty, "c3d", views="1x3")
    assert f"{3 * C3D:,} MACs, 3 views, 18 frames decoded" in repr(job)
    assert job.table().title == f"c3d on {forty} (64×48, 25 fps, 1.60 s), 1×3 views of 16 frames"
    assert "1×3 views of 16 frames" in str(job)
    assert "<table" in job._repr_html_()
    assert job.table().rows[0][:3] == ("decode", "h264", "18")
