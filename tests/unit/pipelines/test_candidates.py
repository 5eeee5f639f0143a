from __future__ import annotations

from predictkpi.pipelines.candidates import make_candidates


def test_make_candidates__are_the_model_and_all_its_baselines_with_the_files_settings(tmp_path):
    (tmp_path / "close_time.yaml").write_text("landmark_budget: 5000\n", encoding="utf-8")
    found = {name: make() for name, make in make_candidates("close_time", tmp_path).items()}
    assert list(found) == ["model", "baseline", "stage_curves", "stage_win_rate", "rep_date"]
    assert [predictor.kind for predictor in found.values()] == ["model"] + ["baseline"] * 4
    assert found["model"].landmark_budget == found["rep_date"].landmark_budget == 5000
    assert list(make_candidates("revenue", tmp_path)) == ["model", "baseline"]
