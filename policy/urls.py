"""Routes of the ramp's pages."""

from __future__ import annotations

from django.urls import path

from policy.views import backtests, flip, freezes, readiness, shadow

app_name = "policy"

urlpatterns = [
    path("readiness/", readiness.readiness, name="readiness"),
    path("readiness/label/", readiness.label, name="label"),
    path("flip/", flip.flip, name="flip"),
    path("backtests/", backtests.backtest_list, name="backtests"),
    path("backtests/<uuid:pk>/", backtests.backtest, name="backtest"),
    path("backtests/<uuid:pk>/stop/", backtests.backtest_stop, name="backtest_stop"),
    path("shadow/", shadow.shadow, name="shadow"),
    path("freezes/", freezes.freeze_list, name="freezes"),
    path("freezes/<uuid:pk>/lift/", freezes.lift, name="lift"),
]
